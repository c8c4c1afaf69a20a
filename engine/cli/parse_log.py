"""`caffe parse_log`: turns a training log into tables."""

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
@click.option("--delimiter", default=",", show_default=True, metavar="C", help="The character between columns.")
@click.option("--verbose/--noverbose", help="Print the names of the tables written.")
def parse_log(log: Path, folder: Path | None, delimiter: str, verbose: bool) -> None:
    """Write LOG.train and LOG.test as BVLC's parse_log.py does: one row per iteration displayed or tested.

    Columns: NumIters, Seconds since training began, LearningRate (that of the iteration itself; BVLC's script gives the
    one displayed before it), and the net's outputs. The tables are written to FOLDER or, without one, beside the log.
    Further test nets get LOG.test1 and so on. BVLC Caffe's logs are read too.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise click.UsageError(
            f"-delimiter {delimiter!r}: it must be one character, not a quotation mark or a line break."
        )
    parsed = read(log)
    tables = {"train": parsed.train} | {f"test{i or ''}": rows for i, rows in parsed.tests.items()}
    for suffix, rows in tables.items():
        table_rows = [row for row in rows if row.outputs] or [
            Row(row.iteration, row.seconds, row.rate, row.loss, {"loss": row.loss}) for row in rows
        ]
        if not table_rows:
            continue
        path = (log.parent if folder is None else folder) / f"{log.name}.{suffix}"
        with atomic_file.writing(path, EngineError):
            atomic_file.replace(path, _table(table_rows, delimiter).encode())
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
