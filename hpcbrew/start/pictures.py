"""The user's own pictures: a folder with a sub-folder per class, or a list; split for training, validation and test."""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import median

from hpcbrew.errors import RequestError
from hpcbrew.plan import file_lists
from hpcbrew.plan.listed_pictures import headers
from hpcbrew.plan.picture_header import Header, NoPicture

SUFFIXES = frozenset(
    {
        *(".bmp", ".dib", ".exr", ".gif", ".hdr", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm"),
        *(".ppm", ".ras", ".sr", ".tif", ".tiff", ".webp"),
    }
)
"""The suffixes of files that OpenCV reads. Other files in a folder are not pictures, and are left out."""

SHARE = 0.15
"""The fraction of each class's pictures for validation, and again for the test."""


@dataclass(frozen=True)
class Pictures:
    """Names below `root`, each with the number of its class; and the classes' names, by number.

    `height`, `width`: the medians; None if the pictures' format does not tell. `alike`: whether all have that size.
    `grey`: whether all have a single channel. `left_out`: sentences on what is not used, and why.
    """

    root: Path
    classes: tuple[str, ...]
    names: tuple[tuple[str, int], ...]
    height: int | None
    width: int | None
    alike: bool
    grey: bool
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Division:
    """The pictures, with labels, for training, for validation during it, and for the test of the trained model."""

    train: tuple[tuple[str, int], ...]
    val: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]


def of_folder(folder: Path) -> Pictures:
    """Reads a folder whose sub-folders are the classes, in the order of their names; each includes what is nested
    deeper.

    Raises RequestError if there are fewer than two classes.
    """
    labelled: list[tuple[str, int]] = []
    left_out: list[str] = []
    classes: list[str] = []
    for sub in _sub_folders(folder):
        names = [f"{sub}/{name}" for name in _files(folder / sub)]
        pictures = [name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES]
        left_out += [
            f"{name}: its name has no suffix of a picture, such as .jpg" for name in names if name not in set(pictures)
        ]
        if pictures:
            labelled += [(name, len(classes)) for name in pictures]
            classes.append(sub)
    if len(classes) < 2:
        problem = f"there is only {classes[0]}" if classes else "there is none"
        raise RequestError(
            f"{folder}: each class must be a sub-folder with its pictures, such as {folder}/cat and {folder}/dog, and "
            f"there must be two or more; {problem}. Or give a list, with one picture per line: NAME LABEL"
        )
    return _of_labelled(folder, tuple(classes), labelled, left_out)


def of_list(path: Path) -> Pictures:
    """Reads a list as ImageData does: `NAME LABEL`, with names relative to the current folder or the list, or absolute.

    Raises RequestError and ManifestError.
    """
    image_list = file_lists.read_images(path, str(path))
    if not image_list.labels:
        raise RequestError(f"{path}: has no labels: write one picture per line, NAME LABEL, with classes from 0 on")
    first_lines, classes = image_list.first_lines(), max(image_list.labels) + 1
    if min(image_list.labels) < 0 or classes < 2:
        lowest = min(image_list.labels)
        raise RequestError(f"{path}:{first_lines[lowest]}: label {lowest}: number two or more classes from 0 on")
    if len(first_lines) < classes:
        empty = next(number for number in range(classes) if number not in first_lines)
        raise RequestError(
            f"{path}: has labels up to {classes - 1} but no picture of class {empty}: number the classes from 0 on"
        )
    root, members = file_lists.root_and_members("", image_list.names, path, path, str(path))
    labels: dict[str, int] = {}
    for name, label, line in zip(image_list.names, image_list.labels, image_list.lines, strict=True):
        if labels.setdefault(name, label) != label:
            raise RequestError(f"{path}:{line}: {name} has label {label} here but {labels[name]} before: give it one")
    labelled = [(str(member), label) for member, label in zip(members, labels.values(), strict=True)]
    return _of_labelled(root.absolute(), tuple(map(str, range(classes))), labelled, [])


def divide(pictures: Pictures, seed: int) -> Division:
    """Splits the pictures at random, but reproducibly on any machine for the same names and seed. Each class with three
    or more pictures has some in each part; smaller ones are used only for training. Raises RequestError if nothing is
    left to test with."""
    rng = random.Random(seed)  # noqa: S311 - not a secret: reproducible from the seed
    train: list[tuple[str, int]] = []
    val: list[tuple[str, int]] = []
    test: list[tuple[str, int]] = []
    for number in range(len(pictures.classes)):
        names = sorted(name for name in pictures.names if name[1] == number)
        rng.shuffle(names)
        share = max(1, round(SHARE * len(names))) if len(names) >= 3 else 0
        val += names[:share]
        test += names[share : 2 * share]
        train += names[2 * share :]
    if not val:
        raise RequestError(
            f"{pictures.root}: no class has the three pictures needed to set some aside for tests: add some"
        )
    rng.shuffle(train)
    return Division(tuple(train), tuple(val), tuple(test))


def _sub_folders(folder: Path) -> list[str]:
    try:
        entries = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise RequestError(f"{folder}: cannot be read: {error.strerror}") from None
    return sorted(entries)


def _files(folder: Path) -> Iterator[str]:
    """Yields the files below a folder, by relative name, in order; without hidden ones."""
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = os.path.relpath(path, folder)
        yield from (
            name if relative == "." else f"{relative}/{name}" for name in sorted(names) if not name.startswith(".")
        )


def _of_labelled(
    root: Path, classes: tuple[str, ...], labelled: Sequence[tuple[str, int]], left_out: list[str]
) -> Pictures:
    """Reads the pictures' headers. Leaves out files that are not pictures, and names that a list cannot contain."""
    names: list[tuple[str, int]] = []
    sizes: list[tuple[int, int]] = []
    grey = True
    nameable = [each for each in labelled if _fault(each[0]) is None]
    left_out = left_out + [f"{name}: {fault}" for name, _ in labelled if (fault := _fault(name))]
    for each, (_, header) in zip(nameable, headers(root / name for name, _ in nameable), strict=True):
        if isinstance(header, NoPicture):
            left_out.append(f"{each[0]}: {header}")
            continue
        names.append(each)
        grey = grey and header.grey
        sizes += _sizes(header)
    for number, name in enumerate(classes):
        if all(label != number for _, label in names):
            reason = f": {left_out[0]}" if left_out else ""
            raise RequestError(f"{root}: class {name!r} has no usable picture{reason}")
    return Pictures(
        root=root,
        classes=classes,
        names=tuple(names),
        height=round(median(height for height, _ in sizes)) if sizes else None,
        width=round(median(width for _, width in sizes)) if sizes else None,
        alike=len(set(sizes)) == 1 and len(sizes) == len(names),
        grey=grey,
        left_out=tuple(left_out),
    )


def _sizes(header: Header) -> list[tuple[int, int]]:
    return [(header.height, header.width)] if header.height and header.width else []


def _fault(name: str) -> str | None:
    """Says why a list cannot contain a name, if so: lists have one picture per line, in UTF-8, and outer blanks are
    dropped."""
    if not name.isprintable():
        return "its name has a character that a list cannot contain"
    return "its name begins or ends with a blank" if name != name.strip() else None
