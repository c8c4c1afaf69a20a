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
    found = _survey(database, samples=SAMPLES if sheet else 0)
    if sheet is not None:
        _draw(sheet, found)
    if as_json:
        say_json(_values(database, found), indent=2)
        return
    for name, text in _lines(found):
        say(wrapped(f"{name:9} {text}", indent=10))
    if sheet is not None:
        say(f"Wrote {sheet}")


@command.command()
@click.argument("database", type=click.Path(path_type=Path))
@json_option
def check(database: Path, as_json: bool) -> int:
    """Read and decode every record of a database, and name the broken ones. The exit status is 2 if there are any."""
    named: list[dict[str, str]] = []

    def name(key: str, reason: str) -> None:
        if len(named) == BROKEN:
            return
        named.append({"record": key, "reason": reason})
        if not as_json:
            tell(f'record "{key}": {reason}')

    found = _survey(database, broken=name)
    if as_json:
        say_json({"records": found.records, "broken": found.broken, "first": named}, indent=2)
        return 2 if found.broken else 0
    if found.broken > len(named):
        say(f"… and {found.broken - len(named):,} more")
    state = f"{found.broken:,} of them broken" if found.broken else "all well"
    tell(f"{database}: {found.records:,} records, {state}")
    return 2 if found.broken else 0


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


def _draw(path: Path, found: "Survey") -> None:
    from engine.data import contact_sheet  # noqa: PLC0415

    if path.suffix.lower() != ".png":
        raise RequestError(f"--sheet {path}: only PNG can be written: name it {path.with_suffix('.png')}")
    if not found.samples:
        raise RequestError(f"--sheet {path}: the database has no record that can be shown")
    shown = contact_sheet.contact_sheet(
        [s.pixels for s in found.samples], [" ".join(map(str, s.labels)) for s in found.samples]
    )
    contact_sheet.write(path, shown)


def _values(path: Path, found: "Survey") -> dict[str, Any]:
    return {
        "path": str(path),
        "records": found.records,
        "bytes": found.size,
        "broken": found.broken,
        "shapes": [{"shape": list(shape), "records": n} for shape, n in found.shapes.most_common()],
        "forms": dict(found.forms),
        "means": {str(channels): means for channels, means in found.means.items()},
        **({} if found.boxes is None else {"boxes": found.boxes}),
        "labels": {str(label): n for label, n in sorted(found.labels.items())},
    }


def _lines(found: "Survey") -> Iterator[tuple[str, str]]:
    """Yields the lines of `info`, each as a name and a text."""
    yield "records", f"{found.records:,}, {short_size(found.size)}"
    if found.broken:
        yield "broken", f"{found.broken:,}; `hpcbrew data check` names them"
    for shape, records in found.shapes.most_common(SHAPES):
        yield "pictures", f"{records:,} of {'×'.join(map(str, shape))} (channels × height × width)"
    if (more := len(found.shapes) - SHAPES) > 0:
        yield "", f"and {more:,} other sizes"
    yield "stored", ", ".join(f"{records:,} {form}" for form, records in found.forms.most_common())
    for channels, means in found.means.items():
        yield "mean", f"{', '.join(f'{mean:.4g}' for mean in means)}" + (" (blue, green, red)" if channels == 3 else "")
    if found.boxes is not None:
        yield "boxes", f"{found.boxes:,}"
    yield from _labels(found.labels, "records" if found.boxes is None else "boxes")


def _labels(labels: Counter[int], counted: str) -> Iterator[tuple[str, str]]:
    if not labels:
        return
    most = max(labels.values())
    yield (
        "labels",
        f"{len(labels):,}, from {min(labels)} to {max(labels)}; {min(labels.values()):,} to {most:,} {counted} each",
    )
    if len(labels) > LABELS:
        return
    for label, count in sorted(labels.items()):
        yield "", f"{label:>5} {count:>9,}  {'▇' * round(30 * count / most)}"
