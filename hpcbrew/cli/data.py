"""`hpcbrew data info | check`."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine import help_text
from engine.units import short_size
from hpcbrew.cli.options import json_option
from hpcbrew.cli.output import say, say_json, tell, wrapped
from hpcbrew.errors import RequestError

if TYPE_CHECKING:
    from engine.tools.survey import Survey

SAMPLES, LABELS, SHAPES, BROKEN = 64, 40, 5, 1000
"""Pictures on a sheet; the most labels, and the most sizes, that get a line each; the most broken records named."""


@click.group(cls=help_text.Group)
def command() -> None:
    """Inspect databases of pictures (LMDB, LevelDB) before training with them.

    \b
    Examples:
      hpcbrew data info train_lmdb --sheet train.png
      hpcbrew data check train_lmdb
    """


@command.command()
@click.argument("database", type=click.Path(path_type=Path))
@click.option(
    "--sheet", type=click.Path(path_type=Path, dir_okay=False), help=f"Draw the first {SAMPLES} pictures into a .png."
)
@json_option
def info(database: Path, sheet: Path | None, as_json: bool) -> None:
    """Show the number of records in a database, their sizes, their labels and the mean."""
    survey = _survey(database, samples=SAMPLES if sheet else 0)
    if sheet is not None:
        _draw(sheet, survey)
    if as_json:
        say_json(_values(database, survey), indent=2)
        return
    for name, text in _lines(survey):
        say(wrapped(f"{name:9} {text}", indent=10))
    if sheet is not None:
        say(f"Wrote {sheet}")


@command.command()
@click.argument("database", type=click.Path(path_type=Path))
@json_option
def check(database: Path, as_json: bool) -> int:
    """Read and decode every record of a database, and name the broken ones. The exit status is 2 if there are any."""
    faults: list[dict[str, str]] = []

    def name(key: str, reason: str) -> None:
        if len(faults) == BROKEN:
            return
        faults.append({"record": key, "reason": reason})
        if not as_json:
            tell(f'record "{key}": {reason}')

    survey = _survey(database, broken=name)
    if as_json:
        say_json({"records": survey.records, "broken": survey.broken, "first": faults}, indent=2)
        return 2 if survey.broken else 0
    if survey.broken > len(faults):
        say(f"… and {survey.broken - len(faults):,} more")
    state = f"{survey.broken:,} of them broken" if survey.broken else "all well"
    tell(f"{database}: {survey.records:,} records, {state}")
    return 2 if survey.broken else 0


def _survey(path: Path, samples: int = 0, broken: Callable[[str, str], None] = lambda key, reason: None) -> "Survey":
    try:
        from engine.data import backends  # noqa: PLC0415 - needs the engine's packages, which a laptop may lack
        from engine.tools import survey  # noqa: PLC0415
    except ImportError as error:
        raise RequestError(
            f"reading databases needs {error.name}, which is missing: pip install 'hpcbrew[engine]'"
        ) from None
    database = backends.opened(path)
    try:
        return survey.survey(database, samples, broken)
    finally:
        database.close()


def _draw(path: Path, survey: "Survey") -> None:
    from engine.data import contact_sheet  # noqa: PLC0415

    if path.suffix.lower() != ".png":
        raise RequestError(f"--sheet {path}: only PNG can be written: name it {path.with_suffix('.png')}")
    if not survey.samples:
        raise RequestError(f"--sheet {path}: the database has no record that can be shown")
    sheet = contact_sheet.contact_sheet(
        [s.pixels for s in survey.samples], [" ".join(map(str, s.labels)) for s in survey.samples]
    )
    contact_sheet.write(path, sheet)


def _values(path: Path, survey: "Survey") -> dict[str, Any]:
    return {
        "path": str(path),
        "records": survey.records,
        "bytes": survey.size,
        "broken": survey.broken,
        "shapes": [{"shape": list(shape), "records": n} for shape, n in survey.shapes.most_common()],
        "forms": dict(survey.forms),
        "means": {str(channels): means for channels, means in survey.means.items()},
        **({} if survey.boxes is None else {"boxes": survey.boxes}),
        "labels": {str(label): n for label, n in sorted(survey.labels.items())},
    }


def _lines(survey: "Survey") -> Iterator[tuple[str, str]]:
    """Yields the lines of `info`, each as a name and a text."""
    yield "records", f"{survey.records:,}, {short_size(survey.size)}"
    if survey.broken:
        yield "broken", f"{survey.broken:,}; `hpcbrew data check` names them"
    for shape, records in survey.shapes.most_common(SHAPES):
        yield "pictures", f"{records:,} of {'×'.join(map(str, shape))} (channels × height × width)"
    if (more := len(survey.shapes) - SHAPES) > 0:
        yield "", f"and {more:,} other sizes"
    yield "stored", ", ".join(f"{records:,} {form}" for form, records in survey.forms.most_common())
    for channels, means in survey.means.items():
        yield "mean", f"{', '.join(f'{mean:.4g}' for mean in means)}" + (" (blue, green, red)" if channels == 3 else "")
    if survey.boxes is not None:
        yield "boxes", f"{survey.boxes:,}"
    yield from _labels(survey.labels, "records" if survey.boxes is None else "boxes")


def _labels(labels: Counter[int], unit: str) -> Iterator[tuple[str, str]]:
    if not labels:
        return
    most = max(labels.values())
    yield (
        "labels",
        f"{len(labels):,}, from {min(labels)} to {max(labels)}; {min(labels.values()):,} to {most:,} {unit} each",
    )
    if len(labels) > LABELS:
        return
    for label, count in sorted(labels.items()):
        yield "", f"{label:>5} {count:>9,}  {'▇' * round(30 * count / most)}"
