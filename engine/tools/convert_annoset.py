"""convert_annoset: pictures and their boxes → a database of AnnotatedDatum records, like SSD's own tool."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from engine import log
from engine.data import annotation_files
from engine.data.image_source import scaled
from engine.data.picture_list import PictureList, read_text
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.tools import command, convert_imageset
from engine.tools.command import tool
from engine.tools.convert_imageset import Converter, Options

WHERE = "convert_annoset"

EPILOG = """\b
Example:
  convert_annoset -anno_type detection -label_map_file labelmap_voc.prototxt -encoded VOCdevkit/ trainval.txt voc_lmdb

Each line of LISTFILE holds the file name of a picture and that of its boxes, separated by a space; with -anno_type
classification, the file name of a picture and a label. ROOTFOLDER is prepended to the names unchanged. A picture whose
box file does not exist has no boxes. If the tool is interrupted, running it again with the same arguments continues
where it stopped.
"""


@dataclass(frozen=True)
class Boxes:
    """How to read the box files, and how small and large pictures may be; 0 means no limit."""

    detection: bool = False
    label_type: str = "xml"
    labels: Mapping[str, int] | None = None
    min_dim: int = 0
    max_dim: int = 0


@tool("convert_annoset", EPILOG)
@convert_imageset.flags_of_pictures
@click.option(
    "--anno_type",
    type=click.Choice(["classification", "detection"]),
    default="classification",
    show_default=True,
    help="Read a label or a box file for each picture.",
)
@click.option(
    "--label_type",
    type=click.Choice(list(annotation_files.KINDS)),
    default="xml",
    show_default=True,
    help="The format of the box files.",
)
@click.option("--label_map_file", default="", metavar="FILE", help="A LabelMap that gives each class name its number.")
@click.option(
    "--check_label/--nocheck_label", default=False, help="Stop if the LabelMap has the same name or number twice."
)
@click.option("--min_dim", type=int, default=0, metavar="N", help="Enlarge pictures whose shorter side is below N.")
@click.option("--max_dim", type=int, default=0, metavar="N", help="Shrink pictures whose longer side is above N.")
def convert_annoset(
    root: str,
    source: Path,
    database: Path,
    anno_type: str,
    label_type: str,
    label_map_file: str,
    check_label: bool,
    min_dim: int,
    max_dim: int,
    **flags: Any,
) -> None:
    """Build a database of pictures with their bounding boxes, for the AnnotatedData layer."""
    options = convert_imageset.options(**flags)
    boxes = Boxes(anno_type == "detection", label_type, None, max(0, min_dim), max(0, max_dim))
    pictures: PictureList | BoxList = BoxList(source) if boxes.detection else PictureList(source)
    if boxes.detection and not label_map_file and label_type != "txt":
        raise DataError("-label_map_file is required: it gives each class name its number.")
    if boxes.detection and label_map_file:
        labels = annotation_files.read_label_map(Path(label_map_file), check=check_label)
        boxes = replace(boxes, labels=labels)
    converter = AnnotatedConverter(root, pictures, options, boxes)
    convert_imageset.fill(converter, database, WHERE, {"boxes": asdict(boxes)})


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(convert_annoset, argv)


class BoxList(Sequence[tuple[str, str]]):
    """The (picture, boxes) pairs of file names in a list. Raises DataError for a line that is not such a pair."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = read_text(path)
        lines = ((n, line.split()) for n, line in enumerate(self._text.decode(errors="surrogateescape").split("\n"), 1))
        self._rows = [(n, words) for n, words in lines if words]
        for n, words in self._rows:
            if len(words) != 2:
                raise DataError(
                    f"{path}:{n}: {len(words)} words found; a line has two, the file names of a picture and its boxes."
                )
        if not self._rows:
            raise DataError(f"{path}: lists no pictures; each line holds the file names of a picture and its boxes.")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self._rows[index][1])

    def line(self, index: int) -> int:
        """The line number of a pair in the file, starting at 1."""
        return self._rows[index][0]

    def digest(self) -> str:
        """SHA-256 of the list."""
        return hashlib.sha256(self._text).hexdigest()


class AnnotatedConverter(Converter):
    """Makes records of pictures with their boxes."""

    def __init__(self, root: str, pictures: PictureList | BoxList, options: Options, boxes: Boxes) -> None:
        super().__init__(root, pictures, options)
        self.boxes = boxes

    def sized(self, picture: np.ndarray) -> np.ndarray:
        if not (self.boxes.min_dim or self.boxes.max_dim):
            return super().sized(picture)
        smaller, larger = min(picture.shape[1:]), max(picture.shape[1:])
        factor = np.float32(1)
        if 0 < smaller < self.boxes.min_dim:
            factor = np.float32(self.boxes.min_dim) / np.float32(smaller)
        if self.boxes.max_dim and int(factor * np.float32(larger)) > self.boxes.max_dim:
            factor = np.float32(self.boxes.max_dim) / np.float32(larger)
        return scaled(picture, float(factor))

    def resizes(self) -> bool:
        return super().resizes() or bool(self.boxes.min_dim or self.boxes.max_dim)

    def finished(self, place: int, record: pb.Datum, before: tuple[int, ...], after: tuple[int, ...]) -> bytes:
        record.channels, record.height, record.width = after
        label = self.name(place)[1]
        if not self.boxes.detection:
            record.label = int(label)
            return pb.AnnotatedDatum(datum=record).SerializeToString()
        record.label = -1
        annotated = pb.AnnotatedDatum(datum=record, type="BBOX")
        file = Path(f"{self.root}{label}")
        if file.exists():
            (_, rows, columns), labels = before, self.boxes.labels or {}
            boxes, shape = annotation_files.read(file, self.boxes.label_type, (rows, columns), labels)
            for complaint in annotation_files.complaints(boxes, shape, (rows, columns)):
                log.warning(WHERE, f"{file} {complaint}")
            annotated.annotation_group.extend(annotation_files.groups(boxes, shape))
        return annotated.SerializeToString()


if __name__ == "__main__":
    raise SystemExit(main())
