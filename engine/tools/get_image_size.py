"""get_image_size: writes the names and sizes of the pictures in a list, for the name_size_file of SSD's layers."""

from collections.abc import Sequence
from pathlib import Path

import click

from engine import log
from engine.data.datum import Colour
from engine.data.image_source import read_picture
from engine.data.picture_list import read_lines
from engine.data.spelt_numbers import integer
from engine.errors import DataError
from engine.host import atomic_file
from engine.tools import command, progress
from engine.tools.command import tool
from engine.tools.convert_annoset import BoxList

WHERE = "get_image_size"
EVERY = 1000
"""Pictures per log line."""

EPILOG = """\b
Example:
  get_image_size VOCdevkit/ test.txt test_name_size.txt

Each line of LISTFILE holds the file name of a picture and a second word, as in the lists for convert_annoset. OUTFILE
gets one line per picture: its name without folder and extension, or its number in the -name_id_file, then its height
and width.
"""


@tool(WHERE, EPILOG)
@click.option("--name_id_file", default="", metavar="FILE", help="A file with a line `name number` for each picture.")
@click.argument("root", metavar="ROOTFOLDER", type=Path)
@click.argument("source", metavar="LISTFILE", type=Path)
@click.argument("sizes", metavar="OUTFILE", type=Path)
def get_image_size(name_id_file: str, root: Path, source: Path, sizes: Path) -> None:
    """Write the name, height and width of each picture in a list."""
    pictures = BoxList(source)
    log.info(WHERE, f"A total of {len(pictures)} images.")
    numbers = _numbers(Path(name_id_file)) if name_id_file else None
    if numbers is not None and len(numbers) != len(pictures):
        raise DataError(f"{name_id_file} has {len(numbers):,} names, but {source} has {len(pictures):,} pictures.")
    lines = []
    for i, (name, _) in enumerate(progress.shown(pictures, len(pictures))):
        place, stem = f"{source}:{pictures.line(i)}: {name}", Path(name).stem
        if numbers is not None and stem not in numbers:
            raise DataError(f"{place}: {name_id_file} has no number for {stem}.")
        try:
            _, height, width = read_picture(root / name, Colour.COLOUR).shape
        except DataError as e:
            raise DataError(f"{place}: {e}") from e
        lines.append(f"{stem if numbers is None else numbers[stem]} {height} {width}\n")
        if (i + 1) % EVERY == 0:
            log.info(WHERE, f"Processed {i + 1} files.")
    with atomic_file.writing(sizes, DataError):
        atomic_file.replace(sizes, "".join(lines).encode(errors="surrogateescape"))
    if len(lines) % EVERY:
        log.info(WHERE, f"Processed {len(lines)} files.")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(get_image_size, argv)


def _numbers(path: Path) -> dict[str, int]:
    """The number of each name. Raises DataError for a line that is not such a pair, and for a name given twice."""
    numbers: dict[str, int] = {}
    for line, row in enumerate(read_lines(path), 1):
        words = row.split()
        number = integer(words[1]) if len(words) == 2 else None
        if words and number is None:
            raise DataError(f"{path}:{line}: must be a name and a number.")
        if words and words[0] in numbers:
            raise DataError(f"{path}:{line}: {words[0]} is given twice.")
        if number is not None:
            numbers[words[0]] = number
    return numbers


if __name__ == "__main__":
    raise SystemExit(main())
