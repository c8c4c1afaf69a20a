"""`caffe show`: shows what a model or a solver state contains."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli import flags
from engine.printable import printable
from engine.units import short_size

if TYPE_CHECKING:
    from engine.data.contact_sheet import ContactSheet
    from engine.tools.model_arrays import Contents

EPILOG = """\b
Examples:
  caffe show lenet_iter_1000.caffemodel
  caffe show lenet_iter_1000.solverstate
  caffe show lenet_iter_1000.caffemodel -filters conv1 filters.png
  caffe show lenet_iter_1000.caffemodel -features conv1 -model deploy.prototxt -picture 7.png -scale 0.00390625 maps.png
"""


def numbers(_: click.Context, __: click.Parameter, value: str) -> tuple[float, ...]:
    """Comma-separated numbers."""
    try:
        return tuple(float(part) for part in value.split(",")) if value else ()
    except ValueError:
        raise click.BadParameter(f'"{value}" is not a comma-separated list of numbers') from None


@click.command(cls=flags.Command, epilog=EPILOG)
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("out", required=False, type=click.Path(path_type=Path), metavar="[OUT.png]")
@click.option("--filters", metavar="LAYER", help="Draw this convolution layer's filters to OUT.png.")
@click.option("--features", metavar="BLOB", help="Draw this blob's feature maps of -picture to OUT.png.")
@click.option("--model", type=click.Path(path_type=Path), metavar="NET", help="For -features: the deploy net.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="For -features: the picture.")
@click.option(
    "--mean_value", default="", callback=numbers, metavar="M,…", help="For -features: subtract these channel means."
)
@click.option("--scale", type=float, default=1.0, help="For -features: then multiply by this factor.")
def show(
    weights: Path,
    out: Path | None,
    filters: str | None,
    features: str | None,
    model: Path | None,
    picture: Path | None,
    mean_value: tuple[float, ...],
    scale: float,
) -> None:
    """Show the arrays in WEIGHTS, or draw a layer's filters or feature maps.

    WEIGHTS is a .caffemodel or .solverstate, HDF5 or not. Of each array it shows the shape, count, norm, least and
    largest value and the share of zeros.
    """
    from engine.tools import model_arrays, model_pictures  # noqa: PLC0415

    if filters and features:
        raise click.UsageError("give either -filters or -features, not both.")
    if (filters or features) and out is None:
        raise click.UsageError("name the picture to write: caffe show WEIGHTS -filters conv1 filters.png")
    if features:
        if model is None or picture is None:
            raise click.UsageError("-features needs the net and a picture: -model deploy.prototxt -picture cat.jpg")
        _draw(out, *model_pictures.features(model, weights, picture, features, mean_value, scale))
        return
    contents = model_arrays.read(weights)
    if filters:
        _draw(out, *model_pictures.filters(_weights(contents, filters, weights)))
        return
    if out is not None:
        raise click.UsageError(f"say what to draw to {out}: -filters LAYER or -features BLOB.")
    for line in _table(contents):
        click.echo(line.rstrip())


def _draw(out: Path | None, sheet: "ContactSheet", caption: str) -> None:
    from engine.data import contact_sheet  # noqa: PLC0415

    assert out is not None
    contact_sheet.write(out, sheet)
    click.echo(f"{out}: {caption}; {sheet.low:g} is black, {sheet.high:g} white.")


def _weights(contents: "Contents", layer: str, path: Path):  # type: ignore[no-untyped-def]
    from engine import suggest  # noqa: PLC0415
    from engine.errors import DataError  # noqa: PLC0415

    weights = next((entry.values for entry in contents.entries if (entry.layer, entry.index) == (layer, 0)), None)
    if weights is None:
        names = list(dict.fromkeys(entry.layer for entry in contents.entries if entry.values.ndim == 4))
        near = suggest.did_you_mean(layer, names)
        have = f"Layers with filters: {', '.join(names) or 'none'}."
        raise DataError(f'{path}: there is no layer "{layer}" with filters.{near} {have}')
    return weights


def _table(contents: "Contents") -> Sequence[str]:
    from engine.tools import model_arrays  # noqa: PLC0415

    rows = [("layer", "type", "array", "shape", "count", "norm", "least", "largest", "zeros", "")]
    for entry in contents.entries:
        stats = model_arrays.statistics(entry.values)
        shape = "×".join(map(str, entry.values.shape)) or "1"
        others = f"{stats.others:,} of them not finite" if stats.others else ""
        figures = (f"{stats.norm:.4g}", f"{stats.least:.4g}", f"{stats.largest:.4g}", f"{100 * stats.zeros:.1f} %")
        name, kind = (printable(text, one_line=True) for text in (entry.layer, entry.type))
        rows.append((name, kind, str(entry.index), shape, f"{entry.values.size:,}", *figures, others))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    texts = 4
    lines = [
        "  ".join(
            cell.ljust(width) if column < texts or column == len(row) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    count = sum(entry.values.size for entry in contents.entries)
    layers = len({entry.layer for entry in contents.entries})
    total = f"{len(contents.entries)} arrays of {layers} layers, {count:,} numbers, {short_size(4 * count)} in float32"
    return [printable(contents.about, one_line=True), *lines, total]
