"""SSD's additions to transform_param: random colour changes, expansion onto a larger canvas, and resizing.

Pictures are uint8 (height, width, channels), colours in BGR order.
"""

from collections.abc import Callable

import cv2
import numpy as np

from engine.data import picture_limits
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

_BORDERS = {
    pb.ResizeParameter.CONSTANT: cv2.BORDER_CONSTANT,
    pb.ResizeParameter.MIRRORED: cv2.BORDER_REFLECT_101,
    pb.ResizeParameter.REPEAT_NEAREST: cv2.BORDER_REPLICATE,
}
_INTERPOLATIONS = {
    pb.ResizeParameter.LINEAR: cv2.INTER_LINEAR,
    pb.ResizeParameter.AREA: cv2.INTER_AREA,
    pb.ResizeParameter.NEAREST: cv2.INTER_NEAREST,
    pb.ResizeParameter.CUBIC: cv2.INTER_CUBIC,
    pb.ResizeParameter.LANCZOS4: cv2.INTER_LANCZOS4,
}


def distort(picture: np.ndarray, p: pb.DistortionParameter, rng: np.random.Generator) -> np.ndarray:
    """The picture (height, width, 3) with changed colours: brightness, contrast, saturation, hue and the order of
    channels, each changed with its own probability.

    Contrast comes either before saturation and hue or after them, with probability 1/2. Raises DataError for another
    number of channels.
    """
    if picture.shape[2] != 3:
        raise DataError(f"has {picture.shape[2]} channels, and distort_param takes 3")

    def brightness(x: np.ndarray) -> np.ndarray:
        return _linear(x, 1, _uniform(rng, -p.brightness_delta, p.brightness_delta))

    def contrast(x: np.ndarray) -> np.ndarray:
        return _linear(x, _uniform(rng, p.contrast_lower, p.contrast_upper), 0)

    def saturation(x: np.ndarray) -> np.ndarray:
        return _in_hsv(x, 1, _uniform(rng, p.saturation_lower, p.saturation_upper), 0)

    def hue(x: np.ndarray) -> np.ndarray:
        return _in_hsv(x, 0, 1, _uniform(rng, -p.hue_delta, p.hue_delta))

    def order(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x[:, :, rng.permutation(3)])

    colours = [(p.saturation_prob, saturation), (p.hue_prob, hue)]
    at = 0 if rng.random() > 0.5 else len(colours)
    colours.insert(at, (p.contrast_prob, contrast))
    steps: list[tuple[float, Callable[[np.ndarray], np.ndarray]]] = [
        (p.brightness_prob, brightness),
        *colours,
        (p.random_order_prob, order),
    ]
    for chance, step in steps:
        if rng.random() < chance:
            picture = step(picture)
    return picture


def check_distortion(p: pb.DistortionParameter) -> None:
    """Raises DataError for limits that contradict each other."""
    for name in ("brightness_delta", "hue_delta"):
        if not 0 <= getattr(p, name) < np.inf:
            raise DataError(f"distort_param: {name} is {getattr(p, name):g}; it must be a number of 0 or more.")
    for name in ("contrast", "saturation"):
        low, high = getattr(p, f"{name}_lower"), getattr(p, f"{name}_upper")
        if not 0 <= low <= high < np.inf:
            raise DataError(
                f"distort_param: {name} from {low:g} to {high:g}; give numbers of 0 or more, the smaller first."
            )


def check_expansion(p: pb.ExpansionParameter) -> None:
    """Raises DataError for a max_expand_ratio below 1 or not finite."""
    if not 1 <= p.max_expand_ratio < np.inf:
        raise DataError(f"expand_param: max_expand_ratio is {p.max_expand_ratio:g}; it must be a number of 1 or more.")


def expand(
    picture: np.ndarray, p: pb.ExpansionParameter, ground: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Puts the picture at a random place on a larger canvas, up to max_expand_ratio times as high and wide, with the
    colour `ground` (1 or channels; black if empty).

    Returns the canvas, and its corners (4) in units of the picture: xmin, ymin, xmax, ymax. Returns the picture and
    None where it stays as it is. Raises DataError if the canvas would have more pixels than a picture may.
    """
    if rng.random() > p.prob or abs(p.max_expand_ratio - 1) < 1e-2:
        return picture, None
    rows, columns, channels = picture.shape
    ratio = _uniform(rng, 1, p.max_expand_ratio)
    height, width = int(rows * ratio), int(columns * ratio)
    if height * width > picture_limits.most_pixels():
        raise DataError(
            f"would be expanded to {height}×{width}, and pictures have {picture_limits.most_pixels():,} pixels at most "
            f"({picture_limits.PIXELS}). expand_param: max_expand_ratio is {p.max_expand_ratio:g}; give less"
        )
    top, left = int(rng.random() * (height - rows)), int(rng.random() * (width - columns))
    larger = np.empty((height, width, channels), picture.dtype)
    larger[...] = ground if ground.size else 0
    larger[top : top + rows, left : left + columns] = picture
    part = [-left / columns, -top / rows, (width - left) / columns, (height - top) / rows]
    return larger, np.array(part, np.float32)


def resize(picture: np.ndarray, p: pb.ResizeParameter, rng: np.random.Generator) -> np.ndarray:
    """The picture (height, width, channels) at the size that `resize_param` asks for, with one of its interp_modes
    chosen at random. Raises DataError if pad_value is for another number of channels."""
    how = _INTERPOLATIONS[p.interp_mode[rng.integers(len(p.interp_mode))]] if p.interp_mode else cv2.INTER_LINEAR
    height, width = fitted_size(picture.shape[0], picture.shape[1], p)
    small: np.ndarray = cv2.resize(picture, (width, height), interpolation=how)
    if p.resize_mode == p.FIT_LARGE_SIZE_AND_PAD:
        down, across = p.height - height, p.width - width
        values = [float(v) for v in p.pad_value] or [0.0]
        if len(values) not in (1, picture.shape[2]):
            raise DataError(
                f"has {picture.shape[2]} channels and resize_param has {len(values)} pad_value; give one, or one per "
                "channel"
            )
        colour = values * picture.shape[2] if len(values) == 1 else values
        sides = down // 2, down - down // 2, across // 2, across - across // 2
        small = cv2.copyMakeBorder(small, *sides, _BORDERS[p.pad_mode], value=colour)
    return small.reshape(*small.shape[:2], picture.shape[2])


def fitted_size(height: int, width: int, p: pb.ResizeParameter) -> tuple[int, int]:
    """The height and width that a picture is resized to, before it is padded."""
    aspect, new = np.float32(width) / np.float32(height), np.float32(p.width) / np.float32(p.height)
    if p.resize_mode == p.WARP:
        return p.height, p.width
    if (aspect > new) == (p.resize_mode == p.FIT_LARGE_SIZE_AND_PAD):
        return max(1, int(np.float32(p.width) / aspect)), p.width
    return p.height, max(1, int(aspect * np.float32(p.height)))


def check_resize(p: pb.ResizeParameter) -> None:
    """Raises DataError if the new size is not given, or prob is not a number of 0 or more."""
    if not p.height or not p.width:
        raise DataError(f"resize_param: height {p.height} and width {p.width}; give both, 1 or more.")
    if not 0 <= p.prob < np.inf:
        raise DataError(f"resize_param: prob is {p.prob:g}; it must be a number of 0 or more.")


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number from low to high; numpy's own refuses a low of 0 with a high of −0."""
    return low + (high - low) * rng.random()


def _linear(x: np.ndarray, factor: float, plus: float) -> np.ndarray:
    changed: np.ndarray = np.clip(np.rint(x * np.float32(factor) + np.float32(plus)), 0, 255).astype(np.uint8)
    return changed


def _in_hsv(x: np.ndarray, channel: int, factor: float, plus: float) -> np.ndarray:
    hsv = cv2.cvtColor(x, cv2.COLOR_BGR2HSV)
    hsv[:, :, channel] = _linear(hsv[:, :, channel], factor, plus)
    coloured: np.ndarray = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    return coloured
