"""Draws curves in panels as text, for terminals: with braille characters, each of which has 2 × 4 dots."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise

from engine.curves import Curve, Panel

Part = tuple[str, int | None]
"""Text, and the group of the curve that it belongs to; None for text that belongs to none."""

MARGIN = 10
"""Width, in characters, of the labels left of the y axis."""

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def draw(
    panels: Sequence[Panel], x: str, width: int, height: int, *, log: bool = False, braille: bool = True
) -> Iterator[list[Part]]:
    """The lines of a drawing, at most `width` characters wide; each panel has `height` lines plus heading, axis and
    legend. `log`: as in curves.draw. Without `braille` the dots are stars."""
    for panel in panels:
        yield [(panel.y, None)]
        curves = [_on_axis(curve, log=log and panel is panels[0]) for curve in panel.curves]
        points = [point for curve in curves for point in curve.points]
        if points:
            yield from _panel(curves, points, x, width, height, log=log and panel is panels[0], braille=braille)
        else:
            yield [("  no values", None)]
        yield []


def _on_axis(curve: Curve, *, log: bool) -> Curve:
    """The curve with the logarithms of its values, without the values that have none."""
    if not log:
        return curve
    points = [(x, math.log10(y)) for x, y in curve.points if y > 0]
    return Curve(curve.label, points, curve.group, curve.dashed, curve.broken)


def _panel(
    curves: Sequence[Curve],
    points: Sequence[tuple[float, float]],
    x: str,
    width: int,
    height: int,
    *,
    log: bool,
    braille: bool,
) -> Iterator[list[Part]]:
    low, high = (min(y for _, y in points), max(y for _, y in points))
    first, last = (min(x for x, _ in points), max(x for x, _ in points))
    columns = max(10, width - MARGIN - 2)
    dots = (columns * 2, height * 4) if braille else (columns, height)
    cells: dict[tuple[int, int], tuple[int, int]] = {}
    for curve in curves:
        for across, up in _path(curve.points, (first, last), (low, high), dots):
            down = dots[1] - 1 - up
            cell, bit = ((down // 4, across // 2), _DOTS[down % 4][across % 2]) if braille else ((down, across), 1)
            cells[cell] = (cells.get(cell, (0, 0))[0] | bit, curve.group)
    for row in range(height):
        value = high + row / max(1, height - 1) * low - row / max(1, height - 1) * high
        tick = f"{10 ** min(value, 308.0) if log else value:.4g}" if row in (0, height // 2, height - 1) else ""
        yield [
            (f"{tick:>{MARGIN}} │" if braille else f"{tick:>{MARGIN}} |", None),
            *_row(cells, row, columns, braille),
        ]
    right = f"{last:.6g} {x}"
    yield [(" " * (MARGIN + 2) + f"{first:.6g}".ljust(columns - len(right)) + right, None)]
    for curve in (curve for curve in curves if curve.points):
        sign = ("╌╌ " if curve.dashed else "── ") if braille else "* "
        label = textwrap.wrap(curve.label, max(columns - len(sign), 10), break_on_hyphens=False) or [""]
        yield [(" " * (MARGIN + 2), None), (sign, curve.group), (label[0], None)]
        for character in label[1:]:
            yield [(" " * (MARGIN + 2 + len(sign)) + character, None)]


def _row(cells: dict[tuple[int, int], tuple[int, int]], row: int, columns: int, braille: bool) -> Iterator[Part]:
    """One line, split into parts that each belong to one group."""
    text, group = "", None
    for column in range(columns):
        bits, of = cells.get((row, column), (0, group))
        if of != group and text:
            yield text, group
            text = ""
        group = of
        text += (chr(0x2800 + bits) if braille else "*") if bits else " "
    if text.strip():
        yield text.rstrip(), group


def _path(
    points: Sequence[tuple[float, float]], xs: tuple[float, float], ys: tuple[float, float], dots: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """The dots of a curve, as (across, up): its points and those on the lines between them."""
    places = [(_place(x, xs, dots[0]), _place(y, ys, dots[1])) for x, y in points]
    yield from places[:1]
    for (x0, y0), (x1, y1) in pairwise(places):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for n in range(1, steps + 1):
            yield round(x0 + (x1 - x0) * n / steps), round(y0 + (y1 - y0) * n / steps)


def _place(value: float, span: tuple[float, float], count: int) -> int:
    """Which of `count` dots stands for `value` on an axis that covers `span`."""
    low, high, value = span[0] / 2, span[1] / 2, value / 2  # halved: the width of a span of all floats overflows
    return round((value - low) / (high - low) * (count - 1)) if high > low else (count - 1) // 2
