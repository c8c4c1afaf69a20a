"""convert_imageset: the pictures in a list → a database of Datum records, like Caffe's own tool."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from engine import log
from engine.data import datum
from engine.data.backends import WRITERS
from engine.data.databases import DatabaseWriter
from engine.data.datum import Colour
from engine.data.image_source import stretched
from engine.data.picture_list import PictureList
from engine.data.source import shuffled
from engine.data.transform import by
from engine.errors import DataError
from engine.host import ordered, regular_file
from engine.proto import caffe_pb2 as pb
from engine.tools import command, progress
from engine.tools.command import backend_option, tool

WHERE = "convert_imageset"
EVERY = 1000
"""Records per log line."""

EPILOG = """\b
Example:
  convert_imageset -shuffle -resize_height 256 -resize_width 256 pictures/ train.txt train_lmdb

Each line of LISTFILE holds a file name, a space and a label, e.g. "cat.jpg 3" for pictures/cat.jpg. ROOTFOLDER is
prepended to the names unchanged. A picture that cannot be read is reported and left out. If the tool is interrupted,
running it again with the same arguments continues where it stopped; DB_NAME appears only once it is complete.
"""


@dataclass(frozen=True)
class Options:
    """The flags' values. size: the (height, width) to which pictures are stretched; None leaves them unchanged."""

    gray: bool = False
    size: tuple[int, int] | None = None
    encoded: bool = False
    encode_type: str = ""
    check_size: bool = False
    shuffle: bool = False
    backend: str = "lmdb"


FLAGS = (
    click.option("--gray/--nogray", default=False, help="Convert pictures to greyscale."),
    click.option(
        "--shuffle/--noshuffle", default=False, help="Shuffle the pictures, always in the same order for a given list."
    ),
    backend_option,
    click.option("--resize_width", type=int, default=0, metavar="N", help="Stretch pictures to this width."),
    click.option("--resize_height", type=int, default=0, metavar="N", help="Stretch pictures to this height."),
    click.option(
        "--check_size/--nocheck_size", default=False, help="Stop at a picture whose size differs from the first's."
    ),
    click.option("--encoded/--noencoded", default=False, help="Store pictures encoded, as they are in their files."),
    click.option("--encode_type", default="", metavar="TYPE", help="Encode pictures in this format: png, jpg, …"),
    click.argument("root", metavar="ROOTFOLDER/"),
    click.argument("source", metavar="LISTFILE", type=Path),
    click.argument("database", metavar="DB_NAME", type=Path),
)
"""The flags of every tool that builds a database from a list of pictures."""


def flags_of_pictures(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the FLAGS to a tool's function."""
    for flag in reversed(FLAGS):
        function = flag(function)
    return function


@tool("convert_imageset", EPILOG)
@flags_of_pictures
def convert_imageset(
    root: str, source: Path, database: Path, resize_width: int, resize_height: int, encode_type: str, **flags: Any
) -> None:
    """Build a database for the Data layer from the pictures in a list."""
    convert(root, source, database, options(resize_width, resize_height, encode_type, **flags))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(convert_imageset, argv)


def options(resize_width: int, resize_height: int, encode_type: str, **flags: Any) -> Options:
    """The Options that the flags give."""
    size = (resize_height, resize_width) if resize_height > 0 and resize_width > 0 else None
    if size is None and max(resize_height, resize_width) > 0:
        log.warning(WHERE, "-resize_height and -resize_width work only together: pictures keep their sizes.")
    return Options(size=size, encode_type=encode_type.lower().removeprefix("."), **flags)


def convert(root: str, source: Path, database: Path, options: Options) -> None:
    """Writes `database`: one record per readable picture, whose key is its place in the list and its name.

    Raises DataError if the list or all of its pictures cannot be read, and if the database already exists.
    """
    _check(root, options)
    fill(Converter(root, PictureList(source), options), database)


def _check(root: str, options: Options) -> None:
    if not Path(os.path.dirname(root) or ".").is_dir():  # noqa: PTH120  the rest of it may begin names
        raise DataError(f"{root}: no such folder.")
    if options.encode_type and not cv2.haveImageWriter(f"x.{options.encode_type}"):
        raise DataError(f"-encode_type {options.encode_type}: OpenCV cannot write it. Give png, jpg, bmp, …")


def fill(converter: "Converter", database: Path, where: str = WHERE, extra: dict[str, Any] | None = None) -> None:
    """Writes `database` with a converter, as `convert` does. where: the tool's name in the log; extra: its settings.

    Raises DataError.
    """
    root, pictures, options = converter.root, converter.pictures, converter.options
    _check(root, options)
    if options.shuffle:
        log.info(where, "Shuffling data")
    log.info(where, f"A total of {len(pictures)} images.")
    if options.encode_type and not options.encoded:
        log.info(where, "encode_type specified, assuming encoded=true.")
    settings = {"root": str(Path(root).absolute()), "list": pictures.digest(), **asdict(options), **(extra or {})}
    with WRITERS[options.backend](database, settings) as db:
        count = _fill(db, converter)
        if not count:
            ending = "" if root.endswith("/") else f": should {root!r} end with a /?"
            raise DataError(
                f"{pictures.path}: none of its {len(pictures):,} pictures can be read, such as "
                f"{root}{converter.name(0)[0]}. ROOTFOLDER is prepended to the names unchanged{ending or '.'}"
            )
    if count % EVERY:
        log.info(where, f"Processed {count} files.")
    if left_out := len(pictures) - count:
        log.warning(where, f"{left_out} of {len(pictures)} pictures could not be read and were left out.")


@dataclass(frozen=True)
class Made:
    """A picture's record. shape: (channels, height, width) of the picture in it."""

    shape: tuple[int, ...]
    record: bytes


@dataclass(frozen=True)
class Unread:
    """A picture without a record, and why."""

    why: str


class Converter:
    """Makes the records of a list's pictures. A `place` counts in the order of the database, after any shuffling."""

    def __init__(self, root: str, pictures: Any, options: Options) -> None:
        """`pictures`: a PictureList, or an object with its methods that has something else in place of the labels."""
        self.root, self.pictures, self.options = root, pictures, options
        self.colour = Colour.GREY if options.gray else Colour.COLOUR
        self._order = shuffled(0, 0, len(pictures)) if options.shuffle else range(len(pictures))

    def name(self, place: int) -> tuple[str, Any]:
        """The name and label of the picture at `place`."""
        name, label = self.pictures[int(self._order[place])]
        return name, label

    def sized(self, picture: np.ndarray) -> np.ndarray:
        """The picture, resized as the options ask."""
        return stretched(picture, self.options.size)

    def resizes(self) -> bool:
        """Whether `sized` may change a picture."""
        return self.options.size is not None

    def finished(self, place: int, record: pb.Datum, before: tuple[int, ...], after: tuple[int, ...]) -> bytes:
        """The record with its label, serialized. before, after: the picture's shapes in its file and in the record."""
        record.label = self.name(place)[1]
        return record.SerializeToString()

    def where(self, place: int) -> str:
        """How messages refer to the picture: the list, the line, the name."""
        return f"{self.pictures.path}:{self.pictures.line(int(self._order[place]))}: {self.name(place)[0]}"

    def __call__(self, place: int) -> tuple[int, Made | Unread]:
        """The place and the record. Raises DataError for a picture that can be read but not made into a record."""
        name = self.name(place)[0]
        path = self.root + name
        try:
            data = regular_file.read(path)
            picture = datum.decode(data, self.colour)
        except FileNotFoundError:
            return place, Unread(path)
        except OSError as e:
            return place, Unread(f"{path}: {e.strerror}")
        except DataError as e:
            return place, Unread(f"{path}: {e}")
        try:
            small = self.sized(picture)
            record = self.finished(place, self._record(path, name, data, small), picture.shape, small.shape)
        except DataError as e:
            raise DataError(f"{self.where(place)}: {e}") from e
        return place, Made(small.shape, record)

    def _record(self, path: str, name: str, data: bytes, picture: np.ndarray) -> pb.Datum:
        kind = self.options.encode_type
        if not kind and not self.options.encoded:
            return _raw(picture)
        if not kind:
            kind = name.rpartition(".")[2].lower()
            if "." not in name:
                log.warning(WHERE, f"Failed to guess the encoding of '{name}'")
        ending = path.rpartition(".")[2].lower()
        if not self.resizes() and (ending == kind or (kind, ending) == ("jpg", "jpeg")):
            return datum.encoded(data, 0)
        return datum.encoded(_encoded(picture, kind), 0)


def _raw(picture: np.ndarray) -> pb.Datum:
    record = datum.raw(picture, 0)
    record.encoded = False  # set although it is the default, as Caffe does
    return record


def _encoded(picture: np.ndarray, kind: str) -> bytes:
    try:
        _, data = cv2.imencode(f".{kind}", picture.transpose(1, 2, 0))
    except cv2.error as e:
        raise DataError(f'OpenCV cannot encode it as "{kind}". Give -encode_type png or jpg.') from e
    return data.tobytes()


def _fill(db: DatabaseWriter, converter: Converter) -> int:
    """Writes the records of all pictures that follow the last one already there. Returns the number of records."""
    total, count = len(converter.pictures), db.entries
    begin = 0 if db.last_key is None else int(db.last_key.partition(b"_")[0]) + 1
    first: tuple[int, Made] | None = None
    if begin:
        log.info(WHERE, f"Continuing after line {begin} of {total}; {count} files are already processed.")
        first = next((place, item) for place, item in map(converter, range(begin)) if isinstance(item, Made))
    for place, item in progress.shown(ordered.mapped(converter, range(begin, total)), total, begin):
        if isinstance(item, Unread):
            log.error("io.cpp:80", f"Could not open or find file {item.why}")
            continue
        first = first or (place, item)
        if converter.options.check_size and item.shape != first[1].shape:
            raise DataError(
                f"{converter.where(place)}: Incorrect data field size {math.prod(item.shape)}: it is {by(item.shape)} "
                f"(channels × height × width); {converter.where(first[0])}, the first, is {by(first[1].shape)}. Give "
                "-resize_height and -resize_width, or omit -check_size."
            )
        db.put(b"%08d_%s" % (place, os.fsencode(converter.name(place)[0])), item.record)
        count += 1
        if count % EVERY == 0:
            log.info(WHERE, f"Processed {count} files.")
    return count


if __name__ == "__main__":
    raise SystemExit(main())
