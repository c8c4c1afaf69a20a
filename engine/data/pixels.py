"""Pictures that the device converts to floats: only a quarter of the bytes to write and to copy to it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from engine.data.transform import Transform

WORTH = 1 << 20
"""Values in a batch from which on copying them as floats takes longer than one more call to the device."""


class Pixels(NamedTuple):
    """The pictures of a batch, cropped and mirrored, from which the device computes (values − mean) · scale in float32.

    values: uint8 (n, channels, height, width). mean: None; or one value per channel or for all, (channels or 1, 1, 1);
    or a picture (channels, H, W), of which each picture of the batch uses the window whose first row and column are its
    `corners` (n, 2), mirrored if its `mirrored` (n,) is true. scale: None for 1.
    """

    values: np.ndarray
    mean: np.ndarray | None = None
    corners: np.ndarray | None = None
    mirrored: np.ndarray | None = None
    scale: np.float32 | None = None


@runtime_checkable
class Transforms(Protocol):
    """A source whose first top is pictures, and whose `transform` can leave the arithmetic to the device."""

    tops: Sequence[str]
    transform: Transform


def left_to_device(values: np.ndarray, transform: Transform, draws: np.ndarray) -> Pixels:
    """The work left for the device after `transform` has cropped and mirrored pictures as those `draws` (n, 3) say."""
    scale = None if transform.scale == 1 else transform.scale
    if transform.mean is None:
        mean = transform.values[:, None, None] if transform.values.size else None
        return Pixels(values, mean, scale=scale)
    corners = [transform.corner(transform.mean.shape[1:], draw) for draw in draws]
    mirrored = [transform.mirrors(draw) for draw in draws]
    return Pixels(values, transform.mean, np.array(corners, np.int32), np.array(mirrored), scale)
