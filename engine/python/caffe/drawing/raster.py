"""Renders a drawing as a bitmap, with OpenCV."""

from collections.abc import Sequence

import cv2
import numpy as np

from engine.errors import NetError
from engine.printable import printable

from .layout import Box, Curve, Drawing, Point

MOST_PIXELS, LONGEST = 50_000_000, 32_000
"""Limits of the picture and of its longer side. Larger drawings are scaled down: most programs show nothing larger."""
FORMATS = ("png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp")
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
STEPS = 12
"""Straight segments per curve."""


def write(drawing: Drawing, form: str) -> bytes:
    """The drawing as the bytes of a file in one of FORMATS. Raises NetError if OpenCV cannot write it."""
    scale = min(
        1.0, LONGEST / max(drawing.width, drawing.height), (MOST_PIXELS / drawing.width / drawing.height) ** 0.5
    )
    sheet = np.full((max(1, int(drawing.height * scale)), max(1, int(drawing.width * scale)), 3), 255, np.uint8)
    for curve in drawing.curves:
        _curve(sheet, curve, scale)
    for box in drawing.boxes:
        _box(sheet, box, scale)
    try:
        success, data = cv2.imencode(f".{form}", sheet)
    except cv2.error as e:
        raise NetError(f"OpenCV cannot write a picture as .{form}: {e.err}. Use .png or .svg.") from e
    if not success:
        raise NetError(f"OpenCV cannot write a picture as .{form}. Use .png or .svg.")
    return data.tobytes()


def _curve(sheet: np.ndarray, curve: Curve, scale: float) -> None:
    points = np.array(curve.points)
    t = np.linspace(0, 1, STEPS + 1)[:, None]
    pieces = [
        (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        for a, b, c, d in (points[i : i + 4] for i in range(0, len(points) - 1, 3))
    ]
    cv2.polylines(sheet, [_pixels(np.concatenate(pieces), scale)], False, BLACK, 1, cv2.LINE_AA)
    cv2.fillPoly(sheet, [_pixels(_arrow(points), scale)], BLACK, cv2.LINE_AA)
    if curve.label:
        _text(sheet, curve.label, curve.label_at, scale, WHITE, 4)  # a white halo keeps the line off the label
        _text(sheet, curve.label, curve.label_at, scale)


def _arrow(points: np.ndarray) -> np.ndarray:
    """A triangle at the end, in the direction of the last curve."""
    end, before = points[-1], points[-2]
    way = end - before
    way = way / (np.hypot(*way) or 1)
    back, side = end - 9 * way, 4 * np.array([-way[1], way[0]])
    return np.array([end, back + side, back - side])


def _box(sheet: np.ndarray, box: Box, scale: float) -> None:
    left, top, right, bottom = box.corners
    corners = box.octagon if box.node.is_blob else ((left, top), (right, top), (right, bottom), (left, bottom))
    outline = _pixels(np.array(corners), scale)
    red, green, blue = bytes.fromhex(box.node.colour[1:])
    cv2.fillPoly(sheet, [outline], (blue, green, red))
    cv2.polylines(sheet, [outline], True, BLACK, 1, cv2.LINE_AA)
    for line, y in zip(box.node.label, box.baselines, strict=True):
        _text(sheet, line, (box.x, y), scale)


def _text(
    sheet: np.ndarray, text: str, at: Point, scale: float, colour: tuple[int, int, int] = BLACK, thickness: int = 1
) -> None:
    """Draws text in ASCII, all that OpenCV's font has; other characters become question marks."""
    shown = printable(text, one_line=True).encode("ascii", "replace").decode()
    size = 0.38 * scale
    (width, _), _ = cv2.getTextSize(shown, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    corner = (int(at[0] * scale - width / 2), int(at[1] * scale))
    cv2.putText(sheet, shown, corner, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)


def _pixels(points: np.ndarray | Sequence[Point], scale: float) -> np.ndarray:
    return np.round(np.asarray(points) * scale).astype(np.int32)
