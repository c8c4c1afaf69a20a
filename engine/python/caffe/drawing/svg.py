"""Renders a drawing as SVG, which every browser shows."""

from html import escape

from engine.printable import printable

from .layout import FONT, Box, Curve, Drawing

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"
 font-family="DejaVu Sans Mono, monospace" font-size="{font}" text-anchor="middle">
<defs><marker id="arrow" markerWidth="9" markerHeight="8" refX="9" refY="4" orient="auto"><path d="M0,0 L9,4 L0,8 z"/></marker></defs>
<rect width="100%" height="100%" fill="white"/>
"""  # noqa: E501

HALO = ' paint-order="stroke" stroke="white" stroke-width="4"'
"""For text on top of a line."""


def write(drawing: Drawing) -> bytes:
    """The drawing as the bytes of an SVG file."""
    parts = [HEAD.format(width=drawing.width, height=drawing.height, font=FONT)]
    parts += [_curve(curve) for curve in drawing.curves]
    parts += [_box(box) for box in drawing.boxes]
    return "".join([*parts, "</svg>\n"]).encode("utf-8", "replace")


def _curve(curve: Curve) -> str:
    (x, y), *rest = curve.points
    path = f"M{x:.1f},{y:.1f} C" + " ".join(f"{a:.1f},{b:.1f}" for a, b in rest)
    line = f'<path d="{path}" fill="none" stroke="black" marker-end="url(#arrow)"/>\n'
    return line + _text(curve.label, *curve.label_at, HALO) if curve.label else line


def _box(box: Box) -> str:
    left, top, right, bottom = box.corners
    style = f'fill="{box.node.colour}" stroke="black"'
    outline = (
        f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in box.octagon)}" {style}/>\n'
        if box.node.is_blob
        else f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" {style}/>\n'
    )
    return outline + "".join(_text(line, box.x, y) for line, y in zip(box.node.label, box.baselines, strict=True))


def _text(text: str, x: float, y: float, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{style}>{escape(printable(text, one_line=True))}</text>\n'
