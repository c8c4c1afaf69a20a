"""Batches of pictures with the training targets of each location of several maps: MS-CNN's ImageGtData layer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log2
from pathlib import Path

import numpy as np

from engine.data import field_labels, field_maps
from engine.data.datum import Colour
from engine.data.field_labels import Boxes, Fields
from engine.data.image_source import read_picture, stretched
from engine.data.list_source import ListSource
from engine.data.padded_rows import FEWEST, padded
from engine.data.rounding import round_half_away
from engine.data.source import Batch
from engine.data.spelt_numbers import integer
from engine.data.window_words import CORNERS, Words
from engine.errors import BadRecord, DataError
from engine.host import memory, workers
from engine.proto import caffe_pb2 as pb
from engine.proto import paths

NOISE = 10
"""The most pixels by which a crop is shifted at random."""

OCTAVE = 2
"""How many sizes per octave, from a size to its double, an object may be scaled to."""

ASPECT_STEP, SLACK = 0.05, (0.8, 1.2)
"""The step between aspect ratios; and the factors of min_scale and max_scale that limit a side when the aspect ratio is
changed."""


@dataclass(frozen=True)
class Listed:
    """A picture: its path; its channels, height and width; corners (K, 4) and classes (K) of its objects, and whether
    each is ignored (K); and regions of no interest (M, 4)."""

    path: str
    size: tuple[int, int, int]
    corners: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    regions: np.ndarray


def read_objects(path: Path) -> list[Listed]:
    """The pictures of an MS-CNN window file. After a picture's size it has the number of objects, with class, ignored,
    x1, y1, x2, y2 of each, and the number of regions of no interest, with x1, y1, x2, y2 of each.

    Raises DataError, naming the line.
    """
    words, pictures = Words(path), []
    for name, size in words.pictures():
        objects = [
            [
                words.one_or_more("an object's class"),
                *(words.take(integer, f"an object's {what}") for what in ("ignored", *CORNERS)),
            ]
            for _ in range(words.count("the number of objects"))
        ]
        regions = [
            [words.take(integer, f"a region's {what}") for what in CORNERS]
            for _ in range(words.count("the number of regions of no interest"))
        ]
        rows = np.array(objects, np.float32).reshape(-1, 6)
        pictures.append(
            Listed(name, size, rows[:, 2:], rows[:, 0], rows[:, 1] != 0, np.array(regions, np.float32).reshape(-1, 4))
        )
    if not pictures:
        raise DataError(f"{path}: lists no pictures.")
    return pictures


class ObjectSource(ListSource):
    """Reads listed pictures again and again; those with objects fg_img_multiple times as often as others.

    A picture is mirrored, resized to resize_width × resize_height, with do_multiple_scale enlarged or reduced according
    to one of its objects, and cropped around that object to crop_width × crop_height; what is outside the picture is 0.
    Tops: pictures; labels (batch_size, 6, H, W) of each map; with output_gt_boxes, objects (rows, 7, 1, 1): picture (−1
    for padding), corners, class, ignored. `definition`: the prototxt that gives root_folder.
    """

    def __init__(
        self,
        source: Path,
        tops: Sequence[str],
        param: pb.ImageGtDataParameter,
        transform: pb.TransformationParameter,
        seed: int,
        prefetch: int = 4,
        definition: str | None = None,
    ) -> None:
        self.source, self.tops, self.param = source, tuple(tops), param
        self.prefetch, self.definition, self.mirror = prefetch, definition, transform.mirror
        listed = read_objects(source)
        times = [param.fg_img_multiple if np.any(~each.ignored) else 1 for each in listed]
        if lacking := memory.lacking(8 * sum(times)):
            raise DataError(f"the list with pictures {param.fg_img_multiple} times (fg_img_multiple) {lacking}.")
        self.listed = [each for each, n in zip(listed, times, strict=True) for _ in range(n)]
        if not self.listed:
            raise DataError(
                f"{source}: fg_img_multiple is {param.fg_img_multiple}, which leaves no picture; give 1 or more."
            )
        super().__init__(source, len(self.listed), param.batch_size, seed, shuffle=param.shuffle)
        self.height, self.width = size = field_maps.picture(param, listed[-1].size[1:])
        fields = zip(field_maps.maps(param, size), param.downsample_rate, param.field_h, param.field_w, strict=True)
        self.maps = [Fields(*shape, *each) for shape, *each in fields]
        self._check_scales()
        if listed[-1].size[0] != 3 or len(transform.mean_value) not in (0, 1, 3):
            raise DataError(
                f"{source}: pictures of {listed[-1].size[0]} channels and {len(transform.mean_value)} mean_value; they "
                "are read in colour, so 3 channels, and 1 or 3 mean_value, are needed."
            )
        self.mean = np.array(list(transform.mean_value) or [0.0], np.float32)[:, None, None]

    def _check_scales(self) -> None:
        """Raises DataError for ranges of scales or aspect ratios that are empty."""
        p = self.param
        shaped = p.HasField("min_whaspect") and p.HasField("max_whaspect")
        if p.min_scale and p.max_scale and p.min_scale > p.max_scale:
            raise DataError(f"min_scale is {p.min_scale} and max_scale {p.max_scale}; the first must not be larger.")
        if shaped and not (p.min_whaspect > 0 and 1 <= (p.max_whaspect - p.min_whaspect) / ASPECT_STEP + 0.5 < 2**31):
            raise DataError(
                f"min_whaspect is {p.min_whaspect:g} and max_whaspect {p.max_whaspect:g}; the first must be above 0, "
                f"and {ASPECT_STEP} or more below the second."
            )

    def shapes(self) -> list[tuple[int, ...]]:
        n = self.batch_size
        tops: list[tuple[int, ...]] = [
            (n, 3, self.height, self.width),
            *((n, 6, each.height, each.width) for each in self.maps),
        ]
        return [*tops, (FEWEST, 7, 1, 1)] if self.param.output_gt_boxes else tops

    def next(self) -> Batch:
        self._choose()
        shapes = self.shapes()
        values = [np.zeros(shape, np.float32) for shape in shapes[: 1 + len(self.maps)]]
        objects = [np.zeros((0, 7), np.float32)] * self.batch_size

        def make(i: int) -> None:
            rng = np.random.default_rng((self._seed, self._batches, i, 1))
            try:
                boxes = self._placed(self.listed[self._chosen[i]], rng, values[0][i])
            except DataError as e:
                raise BadRecord(f"{self.record(i)}: {e}") from e
            for value, label_map in zip(
                values[1:], field_labels.labels(boxes, self.maps, self.param.fg_threshold), strict=True
            ):
                value[i] = label_map
            objects[i] = np.column_stack(
                [np.full(len(boxes.classes), i, np.float32), boxes.corners, boxes.classes, boxes.ignored]
            )

        workers.share(make, self.batch_size)
        self._batches += 1
        values += [_table(np.concatenate(objects))] if self.param.output_gt_boxes else []
        return dict(zip(self.tops, values, strict=True))

    def _placed(self, listed: Listed, rng: np.random.Generator, out: np.ndarray) -> Boxes:
        """Writes a picture into `out` (3, height, width). Returns its boxes there."""
        name = paths.below(self.param.root_folder, listed.path, self.source, self.definition)
        picture = read_picture(name, Colour.COLOUR)
        boxes = Boxes(listed.corners, listed.classes, listed.ignored, listed.regions, (0, 0, self.width, self.height))
        if self.mirror and rng.integers(2):
            picture, boxes = picture[:, :, ::-1], _mirrored(boxes, picture.shape[2])
        if size := field_maps.stretched(self.param):
            down, across = size[0] / picture.shape[1], size[1] / picture.shape[2]
            picture, boxes = stretched(picture, size), _moved(boxes, across, down)
        picture, boxes, middle = self._scaled(picture, boxes, rng)
        noise = rng.integers(-NOISE, NOISE, 2)
        sizes = (picture.shape[2], self.width), (picture.shape[1], self.height)
        (left, x1, width), (top, y1, height) = (
            _part(*size, m, n) for size, m, n in zip(sizes, middle, noise, strict=True)
        )
        patch = picture[:, y1 : y1 + height, x1 : x1 + width].astype(np.float32)
        out[:, top : top + height, left : left + width] = (patch - self.mean) * np.float32(self.param.scale)
        boxes = _moved(boxes, 1, 1, left - x1, top - y1)
        return self._with_ignored(replace(boxes, inside=(left, top, left + width, top + height)))

    def _scaled(
        self, picture: np.ndarray, boxes: Boxes, rng: np.random.Generator
    ) -> tuple[np.ndarray, Boxes, tuple[float, float]]:
        """The picture and boxes, scaled if do_multiple_scale asks for it, and the point (x, y) to centre a crop on."""
        height, width = picture.shape[1:]
        across = down = 1.0
        if len(boxes.corners):
            chosen = boxes.corners[rng.integers(len(boxes.corners))]
            x, y = float(chosen[0] + chosen[2]) / 2, float(chosen[1] + chosen[3]) / 2
            if self.param.do_multiple_scale and self.param.min_scale and self.param.max_scale and rng.integers(2):
                across, down = self._factors(float(chosen[2] - chosen[0]), float(chosen[3] - chosen[1]), rng)
        else:
            x, y = (_somewhere(rng, *size) for size in ((width, self.width), (height, self.height)))
        if (across, down) == (1, 1):
            return picture, boxes, (x, y)
        if across > 1.5 or down > 1.5:  # what the crop will not show need not be enlarged
            columns, rows = (
                min(round_half_away(1.2 * width / across), width),
                min(round_half_away(1.2 * height / down), height),
            )
            x1 = min(max(round_half_away(x - columns / 2), 0), width - columns)
            y1 = min(max(round_half_away(y - rows / 2), 0), height - rows)
            picture = picture[:, y1 : y1 + rows, x1 : x1 + columns]
            boxes, x, y = _moved(boxes, 1, 1, -x1, -y1), x - x1, y - y1
        size = round_half_away(picture.shape[1] * down), round_half_away(picture.shape[2] * across)
        if min(size) < 1:
            raise DataError(f"would be {size[0]}×{size[1]} when scaled to the size chosen for its object")
        return stretched(picture, size), _moved(boxes, across, down), (x * across, y * down)

    def _factors(self, width: float, height: float, rng: np.random.Generator) -> tuple[float, float]:
        """Random factors for the width and height of a picture, which bring an object of this width and height to a
        size from min_scale to max_scale, in half octaves."""
        p = self.param
        steps = np.arange(round_half_away(OCTAVE * log2(p.max_scale / p.min_scale) + 1)) / OCTAVE
        areas = (p.min_scale * 2**steps) ** 2
        area = width * height
        ratios = np.minimum(area, areas) / np.maximum(area, areas)
        nearest = steps[int(np.argmax(ratios))] if np.max(ratios) > 0 else 0.0
        across = down = float(2 ** (steps[rng.integers(len(steps))] - nearest))
        if p.HasField("min_whaspect") and p.HasField("max_whaspect") and rng.integers(2) and width > 0 and height > 0:
            shapes = round_half_away((p.max_whaspect - p.min_whaspect) / ASPECT_STEP)
            change = (rng.integers(shapes) * ASPECT_STEP + p.min_whaspect) / (width / height)
            least, most = p.min_scale * SLACK[0], p.max_scale * SLACK[1]
            if rng.integers(2):
                across *= change if least <= width * across * change <= most else 1
            else:
                down /= change if least <= height * down / change <= most else 1
        return across, down

    def _with_ignored(self, boxes: Boxes) -> Boxes:
        """The boxes, with those ignored as well that are too small or whose centre is outside the crop."""
        x1, y1, x2, y2 = boxes.corners.T
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        beside = (x < 0) | (x >= self.width) | (y < 0) | (y >= self.height)
        small = (x2 - x1 + 1 < self.param.min_gt_width) | (y2 - y1 + 1 < self.param.min_gt_height)
        return replace(boxes, ignored=boxes.ignored | beside | small)

    def _name(self, line: int) -> str:
        return f"{self.source}: {self.param.root_folder}{self.listed[line].path}"


def _part(size: int, room: int, middle: float, noise: int) -> tuple[int, int, int]:
    """The crop along one axis of a picture: the offset in the crop at which the picture begins, the first pixel of the
    picture that is in it, and how many are. `room`: the size of the crop, which is centred on `middle`."""
    if size <= room:
        return min(max(round_half_away((room - size) / 2) + int(noise), 0), room - size), 0, size
    begin = round_half_away(middle) + int(noise) - round_half_away(room / 2)
    return 0, min(max(begin, 0), size - room), room


def _somewhere(rng: np.random.Generator, size: int, room: int) -> float:
    """A random centre for the crop of a picture without objects, along one axis."""
    return float(rng.integers(size - room + 1)) + room / 2 if size >= room else size / 2


def _moved(boxes: Boxes, across: float, down: float, x: float = 0, y: float = 0) -> Boxes:
    """The boxes with all corners multiplied by these factors, and then moved by (x, y) pixels."""
    factors, by = (np.array(each, np.float32) for each in ([across, down] * 2, [x, y] * 2))
    return replace(boxes, corners=boxes.corners * factors + by, regions=boxes.regions * factors + by)


def _mirrored(boxes: Boxes, width: int) -> Boxes:
    def mirrored(corners: np.ndarray) -> np.ndarray:
        x1, y1, x2, y2 = corners.T
        return np.column_stack([width - x2, y1, width - x1, y2])

    return replace(boxes, corners=mirrored(boxes.corners), regions=mirrored(boxes.regions))


def _table(rows: np.ndarray) -> np.ndarray:
    """The rows as a top (n, 7, 1, 1), padded with rows of picture −1."""
    table = np.zeros((padded(len(rows)), 7, 1, 1), np.float32)
    table[:, 0], table[: len(rows), :, 0, 0] = -1, rows
    return table
