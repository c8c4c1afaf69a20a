"""Arranges pictures side by side in one, each with a caption, to show what a net is fed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engine.data.source import Source
from engine.errors import DataError
from engine.host import atomic_file

_LEAST, _MOST = 96, 256
"""The least and the most pixels of a picture's longer side on the sheet."""

_SHOWN = 40
"""How many values of a label are put in a caption: more than there is room for."""

_LINE, _LETTER, _GAP = 14, 8, 4
"""In pixels: the height of a caption, the width of a letter, the gap around a picture."""


@dataclass(frozen=True)
class ContactSheet:
    """`image`: uint8 (height, width, 3). `low`, `high`: the values shown as black and as white."""

    image: np.ndarray
    low: float
    high: float


def first_pictures(source: Source, count: int) -> tuple[list[np.ndarray], list[str]]:
    """The first `count` pictures of a source, with the values of its other tops as captions.

    Raises DataError as the source does, and if no top is pictures: (batch, channels, height, width).
    """
    pictures: list[np.ndarray] = []
    captions: list[str] = []
    while len(pictures) < count:
        batch = source.next()
        top = next((name for name, value in batch.items() if value.ndim == 4 and value.size), None)
        if top is None:
            shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in batch.items())
            raise DataError(f"none of its tops is pictures, with four axes; they are {shapes}.")
        pictures += list(batch[top])
        others = [value.reshape(len(value), -1) for name, value in batch.items() if name != top and value.ndim]
        captions += [
            " ".join(f"{v:g}" for values in others if i < len(values) for v in values[i][:_SHOWN])
            for i in range(len(batch[top]))
        ]
    return pictures[:count], captions[:count]


def contact_sheet(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> ContactSheet:
    """Arranges pictures (channels, height, width) of any sizes in rows that form about a square.

    Three channels are blue, green and red; of any other number, the first is shown in grey. Values are scaled so that
    the smallest of all is black and the largest white; values that are not finite are black or white.
    """
    shown = [p[:3] if len(p) == 3 else p[:1] for p in pictures]
    finite = [p[np.isfinite(p)] for p in shown]
    low = min((float(p.min()) for p in finite if p.size), default=0.0)
    high = max((float(p.max()) for p in finite if p.size), default=0.0)
    tiles = [_tile(p, low, high) for p in shown]
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    columns = min(len(tiles), max(1, round(math.sqrt(len(tiles) * (height + _LINE) / width))))
    rows = -(-len(tiles) // columns)
    height, width = height + _LINE + _GAP, width + _GAP
    image = np.full((rows * height + _GAP, columns * width + _GAP, 3), 64, np.uint8)
    for i, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        top, left = _GAP + i // columns * height, _GAP + i % columns * width
        image[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        words = caption[: (width - _GAP) // _LETTER]
        corner = (left, top + height - 2 * _GAP)
        cv2.putText(image, words, corner, cv2.FONT_HERSHEY_PLAIN, 0.8, (255, 255, 255), 1, cv2.LINE_AA)
    return ContactSheet(image, low, high)


def write(path: str | Path, sheet: ContactSheet) -> None:
    """Writes a sheet as PNG. Raises DataError if it cannot be written."""
    with atomic_file.writing(path, DataError):
        atomic_file.replace(path, cv2.imencode(".png", sheet.image)[1].tobytes())


def _tile(picture: np.ndarray, low: float, high: float) -> np.ndarray:
    """A picture in bytes (height, width, 3), enlarged or reduced to a size suitable for viewing."""
    unit = (picture.astype(np.float64) - low) / ((high - low) or 1)
    grey = np.rint(255 * np.clip(np.nan_to_num(unit), 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    tile = np.ascontiguousarray(np.broadcast_to(grey, (*grey.shape[:2], 3)))
    height, width = tile.shape[:2]
    longer = max(height, width)
    if longer > _MOST:
        size = (max(1, width * _MOST // longer), max(1, height * _MOST // longer))
        return cv2.resize(tile, size, interpolation=cv2.INTER_AREA)
    times = -(-_LEAST // longer)
    return tile.repeat(times, 0).repeat(times, 1)
