"""create_label_map: a list of classes → a LabelMap, which convert_annoset and SSD's layers read."""

from collections.abc import Sequence
from pathlib import Path

import click

from engine.data.picture_list import read_lines
from engine.data.spelt_numbers import integer
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.proto import raw_bytes, text
from engine.tools import command
from engine.tools.command import tool

EPILOG = """\b
Example:
  create_label_map -include_background labels.txt labelmap.prototxt

Each line of MAPFILE holds a class's name, optionally followed by its number, or by its number and display name; all
lines have the same fields. Without numbers, classes are numbered from 0, or from 1 with -include_background.
"""

FIELDS = "a name, optionally with its number and its display name"


@tool("create_label_map", EPILOG)
@click.option("--include_background/--noinclude_background", default=False, help="Add none_of_the_above as class 0.")
@click.option("--delimiter", default=" ", metavar="CHARACTERS", help="Split fields at any of these characters.")
@click.argument("source", metavar="MAPFILE", type=Path)
@click.argument("written", metavar="OUTFILE", type=Path)
def create_label_map(include_background: bool, delimiter: str, source: Path, written: Path) -> None:
    """Write a label map: the name, number and display name of each class in a list."""
    label_map = pb.LabelMap()
    if include_background:
        label_map.item.add(name="none_of_the_above", label=0, display_name="background")
    lines = [raw_bytes.kept(line.removesuffix("\r")) for line in read_lines(source)]
    while lines and not lines[-1].strip():
        del lines[-1]
    rows = [_fields(line, delimiter) for line in lines]
    if not rows:
        raise DataError(f"{source}: lists no classes; each line holds {FIELDS}.")
    for n, fields in enumerate(rows, 1):
        if len(fields) > 3 or not fields[0]:
            actual = f"{len(fields)} fields" if fields[0] else "no name"
            raise DataError(f"{source}:{n}: has {actual}; each line holds {FIELDS}.")
        if len(fields) != len(rows[0]):
            raise DataError(f"{source}:{n}: has {len(fields)} fields, but the first line has {len(rows[0])}.")
        number = len(label_map.item) if len(fields) == 1 else integer(fields[1])
        if number is None:
            raise DataError(f'{source}:{n}: "{fields[1]}" is not a whole number.')
        label_map.item.add(name=fields[0], label=number, display_name=fields[2] if len(fields) == 3 else fields[0])
    text.write(written, label_map)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(create_label_map, argv)


def _fields(line: str, delimiter: str) -> list[str]:
    for each in delimiter[1:]:
        line = line.replace(each, delimiter[0])
    return line.split(delimiter[0]) if delimiter else [line]


if __name__ == "__main__":
    raise SystemExit(main())
