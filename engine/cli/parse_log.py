"""`caffe parse_log`: a training log as tables."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from engine.cli import flags
from engine.errors import EngineError
from engine.host import atomic_file
from engine.tools.training_log import Row, read

EPILOG = """\b
Example:
  caffe parse_log train.log .
"""


@click.command("parse_log", cls=flags.Command, epilog=EPILOG)
@click.argument("log", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--delimiter", default=",", show_default=True, metavar="C", help="What stands between two columns.")
@click.option("--verbose/--noverbose", help="Say where the tables are.")
def parse_log(log: Path, folder: Path | None, delimiter: str, verbose: bool) -> None:
    """Writes LOG.train and LOG.test, as BVLC's parse_log.py does: a row for each iteration displayed or tested.

    Columns: NumIters, Seconds since training began, LearningRate (the iteration's own, where BVLC's has that of the one
    displayed before), and the net's outputs. FOLDER: where the tables go, beside the log unless given. Further test
    nets get LOG.test1 and so on. Reads logs of BVLC Caffe too.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise click.UsageError(f"-delimiter {delimiter!r}: one character is needed, and no quotation mark.")
    found = read(log)
    tables = {"train": found.train} | {f"test{i or ''}": rows for i, rows in found.tests.items()}
    for suffix, rows in tables.items():
        told = [row for row in rows if row.outputs] or [
            Row(row.iteration, row.seconds, row.rate, row.loss, {"loss": row.loss}) for row in rows
        ]
        if not told:
            continue
        path = (log.parent if folder is None else folder) / f"{log.name}.{suffix}"
        with atomic_file.writing(path, EngineError):
            atomic_file.replace(path, _table(told, delimiter).encode())
        if verbose:
            click.echo(f"Wrote {path}")


def _table(rows: Sequence[Row], delimiter: str) -> str:
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row.outputs))
    table = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    table.writerow(["NumIters", "Seconds", "LearningRate", *names])
    table.writerows([*_figures(row, names)] for row in rows)
    return out.getvalue()


def _figures(row: Row, names: Sequence[str]) -> Iterator[float]:
    yield from (float(row.iteration), row.seconds, row.rate)
    yield from (row.outputs.get(name, math.nan) for name in names)
