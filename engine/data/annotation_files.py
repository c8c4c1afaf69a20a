"""Reads files with the boxes of a picture: VOC's XML, COCO's JSON split by picture, and lines of text."""

import json
import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from engine.data.picture_list import read_lines
from engine.data.spelt_numbers import finite, integer
from engine.errors import DataError
from engine.host import regular_file
from engine.proto import caffe_pb2 as pb
from engine.proto import text

LARGEST = 1 << 24
"""The most bytes that a file may have."""


class Box(NamedTuple):
    """A class, the corners in pixels, and whether the object is hard to recognise, or a crowd."""

    label: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False


def read_label_map(path: Path, *, check: bool = False) -> dict[str, int]:
    """The number of each name in a LabelMap file. Raises DataError, with `check` also for a repeated name or number."""
    items = text.read(path, pb.LabelMap).item
    if check:
        for what in ("name", "label"):
            (value, times), *_ = Counter(getattr(item, what) for item in items).most_common(1) or [("", 0)]
            if times > 1:
                raise DataError(f"{path}: the {what} {value!r} is given twice.")
    return {item.name: item.label for item in items}


def read_sizes(path: Path) -> tuple[list[str], np.ndarray]:
    """The names, and the heights and widths (n, 2), of the pictures in a name_size_file. Raises DataError."""
    names, sizes = [], []
    for number, line in enumerate(read_lines(path), 1):
        if not (words := line.split()):
            continue
        height, width = (integer(word) for word in words[1:]) if len(words) == 3 else (None, None)
        if height is None or width is None or min(height, width) < 1:
            raise DataError(
                f"{path}:{number}: {reprlib.repr(line.strip())} is not a name, a height and a width, "
                "in pixels, separated by blanks."
            )
        names.append(words[0])
        sizes.append((height, width))
    if not names:
        raise DataError(f"{path}: names no picture; each line holds a name, a height and a width.")
    return names, np.array(sizes)


def read(path: Path, kind: str, shape: tuple[int, int], labels: Mapping[str, int]) -> tuple[list[Box], tuple[int, int]]:
    """The boxes in a file of the `kind` "xml", "json" or "txt", and the height and width that their pixels refer to.

    shape: the picture's, used if the file does not give one. labels: the number of each class name. Raises DataError,
    naming the file, for a file of another form and for a class name without a number.
    """
    try:
        data = regular_file.read(path, LARGEST)
        boxes, size = KINDS[kind](data, labels)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from e
    except _Wrong as e:
        raise DataError(f"{path}: {e}") from None
    return boxes, size if size and min(size) > 0 else shape


def groups(boxes: list[Box], shape: tuple[int, int]) -> list[pb.AnnotationGroup]:
    """The boxes grouped by class, in the order in which classes first occur, as fractions of a picture of `shape`."""
    by_label: dict[int, pb.AnnotationGroup] = {}
    height, width = shape
    for box in boxes:
        group = by_label.setdefault(box.label, pb.AnnotationGroup(group_label=box.label))
        part = pb.NormalizedBBox(
            xmin=box.xmin / width,
            ymin=box.ymin / height,
            xmax=box.xmax / width,
            ymax=box.ymax / height,
            difficult=box.difficult,
        )
        group.annotation.add(instance_id=len(group.annotation), bbox=part)
    return list(by_label.values())


class _Wrong(Exception):
    """What is wrong with a file; the message continues after its name."""


_SIDES = ("xmin", "ymin", "xmax", "ymax")

Parsed = tuple[list[Box], tuple[int, int] | None]


def _xml(data: bytes, labels: Mapping[str, int]) -> Parsed:
    try:
        root = ElementTree.fromstring(data)  # noqa: S314  expat bounds what entities make of a file
    except (ElementTree.ParseError, ValueError, LookupError) as e:
        raise _Wrong(f"is not XML: {e}.") from None
    if root.tag != "annotation":
        raise _Wrong(f"is XML of <{root.tag[:50]}>, and <annotation> is needed.")
    boxes = []
    for thing in root.iter("object"):
        name, corners = thing.findtext("name", "").strip(), thing.find("bndbox")
        if corners is None:
            raise _Wrong(f'has an object "{name[:50]}" without <bndbox>.')
        left, top, right, bottom = (int(_number(corners.findtext(side, "0"))) for side in _SIDES)
        difficult = thing.findtext("difficult", "").strip() == "1"
        boxes.append(Box(_label(name, labels), left, top, right, bottom, difficult))
    size = [root.findtext(f"size/{side}") for side in ("height", "width")]
    return boxes, None if None in size else (int(_number(size[0])), int(_number(size[1])))


def _json(data: bytes, labels: Mapping[str, int]) -> Parsed:
    try:
        root = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise _Wrong(f"is not JSON: {str(e)[:200]}.") from None
    try:
        things = root["annotation"]
        boxes = []
        for thing in things:
            x, y, width, height = map(_number, thing["bbox"])
            category = thing["category_id"]
            label = _label(category if isinstance(category, str) else str(int(category)), labels)
            boxes.append(Box(label, x, y, x + width, y + height, bool(thing.get("iscrowd", 0))))
        image = root.get("image", {})
        sized = {"height", "width"} <= image.keys()
        size = (int(_number(image["height"])), int(_number(image["width"]))) if sized else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _Wrong('is JSON without an "annotation" list of objects with a bbox of four and a category_id.') from None
    return boxes, size


def _txt(data: bytes, labels: Mapping[str, int]) -> Parsed:
    boxes = []
    for number, line in enumerate(data.decode(errors="replace").split("\n"), 1):
        words = line.split()
        if words and len(words) != 5:
            raise _Wrong(f"line {number} has {len(words)} words; label, xmin, ymin, xmax and ymax are needed.")
        if words:
            label, left, top, right, bottom = map(_number, words)
            boxes.append(Box(int(label), left, top, right, bottom))
    return boxes, None


KINDS: dict[str, Callable[[bytes, Mapping[str, int]], Parsed]] = {"xml": _xml, "json": _json, "txt": _txt}


def _number(value: Any) -> float:
    try:
        number = finite(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None:
        raise _Wrong(f"has {reprlib.repr(value)} where a number is needed.") from None
    if not abs(number) < 2**31:
        raise _Wrong(f"has {reprlib.repr(value)}, which cannot be a pixel or a class.")
    return number


def _label(name: str, labels: Mapping[str, int]) -> int:
    if name not in labels:
        raise _Wrong(f'has a box of class "{name[:50]}", which is not in the label map.')
    return labels[name]


def complaints(boxes: list[Box], shape: tuple[int, int], image_shape: tuple[int, int]) -> Iterator[str]:
    """Warnings about boxes that are kept all the same. `shape`: the height and width that their pixels refer to;
    `image_shape`: the picture's own."""
    height, width = shape
    for side, stated, actual in zip(("height", "width"), shape, image_shape, strict=True):
        if stated != actual:
            yield f"inconsistent image {side}."
    if any(not (0 <= box.xmin <= width and 0 <= box.ymin <= height) for box in boxes) or any(
        not (0 <= box.xmax <= width and 0 <= box.ymax <= height) for box in boxes
    ):
        yield "bounding box exceeds image boundary."
    if any(box.xmin > box.xmax or box.ymin > box.ymax for box in boxes):
        yield "bounding box irregular."
