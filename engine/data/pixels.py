"""Pictures that a device makes floats of: a quarter of the bytes to write, and to copy there."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from engine.data.transform import Transform

WORTH = 1 << 20
"""Values of a batch from which on it takes longer to copy them as floats than to call the device once more."""


class Pixels(NamedTuple):
    """The pictures of a batch, cropped and mirrored, of which (values − mean) · scale is to be made, in float32.

    values: uint8 (n, channels, height, width). mean: nothing; or one a channel or for all (channels or 1, 1, 1); or a
    picture (channels, H, W), of which each has the window whose first row and column are its `corners` (n, 2), mirrored
    where `mirrored` (n,) says so. scale: nothing for 1.
    """

    values: np.ndarray
    mean: np.ndarray | None = None
    corners: np.ndarray | None = None
    mirrored: np.ndarray | None = None
    scale: np.float32 | None = None


@runtime_checkable
class Transforms(Protocol):
    """A source of pictures, its first top, whose `transform` may leave the arithmetic to a device."""

    tops: Sequence[str]
    transform: Transform


def left_to_device(values: np.ndarray, transform: Transform, draws: np.ndarray) -> Pixels:
    """What is left to be done after `transform` has cropped and mirrored pictures by those `draws` (n, 3)."""
    scale = None if transform.scale == 1 else transform.scale
    if transform.mean is None:
        mean = transform.values[:, None, None] if transform.values.size else None
        return Pixels(values, mean, scale=scale)
    corners = [transform.corner(transform.mean.shape[1:], draw) for draw in draws]
    mirrored = [transform.mirrors(draw) for draw in draws]
    return Pixels(values, transform.mean, np.array(corners, np.int32), np.array(mirrored), scale)
