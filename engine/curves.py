"""Draws curves in panels, with matplotlib."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.printable import printable


@dataclass(frozen=True)
class Curve:
    """Points (x, y), in order, and their label in the legend. Curves of one `group` share a colour; `dashed` tells them
    apart. `broken`: the curve ends because its values were no longer numbers."""

    label: str
    points: Sequence[tuple[float, float]]
    group: int = 0
    dashed: bool = False
    broken: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves over one pair of axes; `y` says what the values are."""

    y: str
    curves: Sequence[Curve]


def draw(panels: Sequence[Panel], x: str, path: Path, *, log: bool = False) -> None:
    """Draws the panels, one below the other, into `path`, whose suffix gives the format. `x`: the label of the x axis;
    `log`: whether the first panel's y axis is logarithmic.

    Raises ImportError without matplotlib, OSError or ValueError for a file that cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an optional extra, and slow to import

    figure = Figure(figsize=(8, 2 + 3 * len(panels)), layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        for curve in (curve for curve in panel.curves if curve.points):
            look = {"color": f"C{curve.group % 10}", "linestyle": "--" if curve.dashed else "-"}
            alone = {"marker": "."} if len(curve.points) == 1 else {}
            axes.plot(*zip(*curve.points, strict=True), label=_plain(curve.label), **look, **alone)
            if curve.broken:
                axes.plot(*curve.points[-1], "x", color=look["color"], markersize=9)
        axes.set_xlabel(x)
        axes.set_ylabel(_plain(panel.y))
        if axes.lines:
            axes.legend(fontsize="small" if len(axes.lines) > 4 else None)  # a large legend would hide the curves
        if log and panel is panels[0]:
            axes.set_yscale("log")
    figure.savefig(path)


def _plain(label: str) -> str:
    """A label that matplotlib shows as it is: text between dollar signs would be read as mathematics, and a label that
    begins with an underscore left out."""
    text = printable(label, one_line=True).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
