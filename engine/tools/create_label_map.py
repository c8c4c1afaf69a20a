"""create_label_map: a list of classes → the LabelMap that convert_annoset and SSD's layers read."""

from collections.abc import Sequence
from pathlib import Path

import click

from engine.data.picture_list import integer, read_lines
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.proto import raw_bytes, text
from engine.tools import command
from engine.tools.command import tool

EPILOG = """\b
Example:
  create_label_map -include_background labels.txt labelmap.prototxt

Each line of MAPFILE holds a class's name or, in all lines, its number as well or its number and the name to display.
Without numbers classes are counted from 0 on, from 1 with -include_background.
"""

FIELDS = "a name, and perhaps its number and the name to display"


@tool("create_label_map", EPILOG)
@click.option("--include_background/--noinclude_background", default=False, help="Have none_of_the_above as class 0.")
@click.option("--delimiter", default=" ", metavar="CHARACTERS", help="What stands between fields: any of these.")
@click.argument("source", metavar="MAPFILE", type=Path)
@click.argument("written", metavar="OUTFILE", type=Path)
def create_label_map(include_background: bool, delimiter: str, source: Path, written: Path) -> None:
    """Writes the number and the name to display of each class."""
    made = pb.LabelMap()
    if include_background:
        made.item.add(name="none_of_the_above", label=0, display_name="background")
    lines = [raw_bytes.kept(line.removesuffix("\r")) for line in read_lines(source)]
    while lines and not lines[-1].strip():
        del lines[-1]
    rows = [_fields(line, delimiter) for line in lines]
    if not rows:
        raise DataError(f"{source}: lists no classes; each line holds {FIELDS}.")
    for n, fields in enumerate(rows, 1):
        if len(fields) > 3 or not fields[0]:
            found = f"{len(fields)} fields" if fields[0] else "no name"
            raise DataError(f"{source}:{n}: has {found}; each line holds {FIELDS}.")
        if len(fields) != len(rows[0]):
            raise DataError(f"{source}:{n}: has {len(fields)} fields and the first line {len(rows[0])}.")
        number = len(made.item) if len(fields) == 1 else integer(fields[1])
        if number is None:
            raise DataError(f'{source}:{n}: has the number "{fields[1]}"; a whole number is needed.')
        made.item.add(name=fields[0], label=number, display_name=fields[2] if len(fields) == 3 else fields[0])
    text.write(written, made)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(create_label_map, argv)


def _fields(line: str, delimiter: str) -> list[str]:
    for each in delimiter[1:]:
        line = line.replace(each, delimiter[0])
    return line.split(delimiter[0]) if delimiter else [line]


if __name__ == "__main__":
    raise SystemExit(main())
