"""Draws curves in panels, with matplotlib."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.printable import printable


@dataclass(frozen=True)
class Curve:
    """Points (x, y), in order, and what the legend calls them."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Curves over one pair of axes; `y` says what the values are."""

    y: str
    curves: Sequence[Curve]


def draw(panels: Sequence[Panel], x: str, path: Path) -> None:
    """Draws the panels above each other into `path`; its suffix says in which form. `x`: what runs to the right.

    Raises ImportError without matplotlib, OSError and ValueError for a file that cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an optional extra, and slow to import

    figure = Figure(figsize=(8, 2 + 3 * len(panels)), layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        for curve in panel.curves:
            if curve.points:
                axes.plot(*zip(*curve.points, strict=True), label=_plain(curve.label))
        axes.set_xlabel(x)
        axes.set_ylabel(_plain(panel.y))
        if axes.lines:
            axes.legend()
    figure.savefig(path)


def _plain(label: str) -> str:
    """Matplotlib would read mathematics between two dollar signs."""
    return printable(label, one_line=True).replace("$", r"\$")
