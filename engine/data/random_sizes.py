"""Resizes pictures to random sizes before they are cropped, as Intel's and NVIDIA's transform_param ask for.

Applied in both phases, as in those forks: a net's TEST phase sets a single size, or none.
"""

import math
from abc import ABC, abstractmethod

import cv2
import numpy as np

from engine.data import distortion
from engine.data.augment import by_fours
from engine.data.rounding import round_half_away
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

LONGEST = (1 << 15) - 1
"""The most pixels that a side may be stretched to: OpenCV's limit."""

_STRETCHES = ("vertical_stretch", "horizontal_stretch")
_SPANS = ("img_rand_resize", "rand_resize_ratio", *_STRETCHES)


class RandomSizes(ABC):
    """A way to resize a picture (channels, height, width). Raises DataError for fields that make no sense."""

    @abstractmethod
    def misfit(self, height: int, width: int) -> str | None:
        """What is wrong with a picture of that size, if anything: that it could become smaller than the crop, or larger
        than OpenCV allows. The text continues after the picture's name."""

    @abstractmethod
    def change(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The picture at its new size, which `rng` decides."""


def of(param: pb.TransformationParameter) -> RandomSizes | None:
    """The resizing that transform_param asks for, if any. Raises DataError for fields that contradict each other."""
    for name in ("random_resize_param", "random_aspect_ratio_param"):
        if param.HasField(name) and param.HasField("mean_file"):
            raise DataError(f"transform_param: {name} resizes pictures, so mean_file cannot fit; give mean_value.")
    if param.HasField("random_resize_param"):  # takes precedence over the other, as in the fork
        return ShorterSide(param.random_resize_param, param.crop_size)
    if param.HasField("random_aspect_ratio_param"):
        return Part(param.random_aspect_ratio_param, param.crop_size)
    sizes = param.img_rand_resize_lower or param.img_rand_resize_upper
    spans = (f"{name}_{end}" for name in _SPANS[1:] for end in ("lower", "upper"))
    return Stretched(param) if sizes or any(map(param.HasField, spans)) else None


class ShorterSide(RandomSizes):
    """Resizes the shorter side to min_size … max_size pixels, uniformly, and keeps the aspect ratio (intel/caffe).

    0, the default, stands for the picture's own shorter side as min_size, and its longer side as max_size.
    """

    def __init__(self, param: pb.RandomResizeParameter, crop: int) -> None:
        self.param, self.crop = param, crop
        _need_crop(crop, "random_resize_param")
        if param.max_size and param.min_size > param.max_size:
            raise DataError(
                f"transform_param: random_resize_param's min_size {param.min_size} is above its max_size "
                f"{param.max_size}."
            )

    def misfit(self, height: int, width: int) -> str | None:
        low, high = self._span(height, width)
        if low > high:
            return f"is {height}×{width}, and random_resize_param's min_size {low} is larger; give a max_size"
        if low < self.crop:
            return (
                f"is {height}×{width} and can become {low} wide or high, less than crop_size {self.crop}; give "
                "random_resize_param a min_size as large as that"
            )
        return _too_long(height, width, high * max(height, width) / min(height, width))

    def change(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        low, high = self._span(*picture.shape[1:])
        return _of_shorter_side(picture, int(rng.integers(low, high + 1)), self.param.resize_param, rng)

    def _span(self, height: int, width: int) -> tuple[int, int]:
        return self.param.min_size or min(height, width), self.param.max_size or max(height, width)


class Part(RandomSizes):
    """Takes a part of min_area_ratio to max_area_ratio of the picture, stretched to crop_size (intel/caffe).

    Its height is √area · f and its width √area / f, or the other way round, with f between aspect_ratio_change and
    1 / aspect_ratio_change. If none of max_attempt parts fits, the whole picture is resized so that its shorter side is
    crop_size.
    """

    def __init__(self, param: pb.RandomAspectRatioParameter, crop: int) -> None:
        self.param, self.crop = param, crop
        _need_crop(crop, "random_aspect_ratio_param")
        if not 0 < param.min_area_ratio <= param.max_area_ratio <= 1:
            raise DataError(
                f"transform_param: random_aspect_ratio_param's areas are {param.min_area_ratio:g} to "
                f"{param.max_area_ratio:g} of the picture; give min_area_ratio above 0, and max_area_ratio that much "
                "or more, 1 at most."
            )
        if not 0 < param.aspect_ratio_change <= 1:
            raise DataError(
                f"transform_param: aspect_ratio_change is {param.aspect_ratio_change:g}; it must be above 0 and 1 at "
                "most."
            )

    def misfit(self, height: int, width: int) -> str | None:
        return _too_long(height, width, self.crop * max(height, width) / min(height, width))

    def change(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        p = self.param
        _, height, width = picture.shape
        for _ in range(p.max_attempt):
            root = math.sqrt(height * width * _thousandth(p.min_area_ratio, p.max_area_ratio, rng))
            factor = _thousandth(p.aspect_ratio_change, 1 / p.aspect_ratio_change, rng)
            h, w = int(root * factor), int(root / factor)
            if _thousandth(0, 1, rng) < 0.5:
                h, w = w, h
            if 0 < h <= height and 0 < w <= width:
                top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
                part = picture[:, top : top + h, left : left + w]
                return _resized(part, self.crop, self.crop, p.resize_param, rng)
        return _of_shorter_side(picture, self.crop, p.resize_param, rng)


class Stretched(RandomSizes):
    """Resizes the shorter side to img_rand_resize_lower … _upper pixels and the longer to rand_resize_ratio times that;
    then stretches each by a factor of its own (NVIDIA/caffe).

    Sides are crop_size at least and, without `allow_upscale`, no longer than before.
    """

    def __init__(self, param: pb.TransformationParameter) -> None:
        self.param, self.crop = param, param.crop_size
        _need_crop(self.crop, "img_rand_resize, rand_resize_ratio or a stretch")
        for name in _SPANS:
            low, high = self._span(name)
            if not (0 <= low <= high < math.inf):
                raise DataError(
                    f"transform_param: {name}_lower is {low:g} and {name}_upper {high:g}; give 0 or more, the smaller "
                    "first."
                )
        if bool(param.img_rand_resize_lower) != bool(param.img_rand_resize_upper):
            raise DataError("transform_param: give both of img_rand_resize_lower and img_rand_resize_upper.")

    def misfit(self, height: int, width: int) -> str | None:
        p = self.param
        if not p.allow_upscale and min(height, width) < self.crop:
            return f"is {height}×{width}, smaller than crop_size {self.crop}; choose a smaller crop, or allow_upscale"
        ratio = max(max(height, width) / min(height, width), p.rand_resize_ratio_upper)
        longest = (p.img_rand_resize_upper or min(height, width)) * ratio
        longest *= max(self._span(name)[1] for name in _STRETCHES)
        return _too_long(height, width, longest) if p.allow_upscale else None

    def change(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        p, (_, *old) = self.param, picture.shape
        height, width = (max(self.crop, round_half_away(side)) for side in self._sides(old[0], old[1], rng))
        if not p.allow_upscale:
            height, width = min(height, old[0]), min(width, old[1])
        if [height, width] == old:
            return picture
        smaller = height <= old[0] and width <= old[1]
        how = p.interpolation_algo_down if smaller else p.interpolation_algo_up
        return by_fours(picture, lambda part: cv2.resize(part, (width, height), interpolation=how))

    def _sides(self, height: int, width: int, rng: np.random.Generator) -> tuple[float, float]:
        p, short = self.param, min(height, width)
        size = rng.integers(p.img_rand_resize_lower, p.img_rand_resize_upper + 1) if p.img_rand_resize_upper else short
        h, w = size * height / short, size * width / short
        low, high = self._span("rand_resize_ratio")
        if low >= 1 and high > 1:
            long = size * rng.uniform(low, high)
            taller = height > width or (height == width and rng.random() < 0.5)
            h, w = (long, w) if taller else (h, long)
        down, across = (rng.uniform(*span) if min(span) > 0 else 1 for span in map(self._span, _STRETCHES))
        return h * down, w * across

    def _span(self, name: str) -> tuple[float, float]:
        return getattr(self.param, f"{name}_lower"), getattr(self.param, f"{name}_upper")


def _of_shorter_side(picture: np.ndarray, size: int, p: pb.ResizeParameter, rng: np.random.Generator) -> np.ndarray:
    _, height, width = picture.shape
    if height < width:
        return _resized(picture, size, int(np.float32(width) / np.float32(height) * size), p, rng)
    return _resized(picture, int(np.float32(height) / np.float32(width) * size), size, p, rng)


def _resized(
    picture: np.ndarray, height: int, width: int, p: pb.ResizeParameter, rng: np.random.Generator
) -> np.ndarray:
    resize = pb.ResizeParameter()
    resize.CopyFrom(p)
    resize.height, resize.width = height, width
    return distortion.resize(np.ascontiguousarray(picture.transpose(1, 2, 0)), resize, rng).transpose(2, 0, 1)


def _thousandth(low: float, high: float, rng: np.random.Generator) -> float:
    """A random number from `low` to `high` in steps of a thousandth, as in the fork."""
    return low + int(rng.integers(int((high - low) * 1000 + 1))) / 1000


def _need_crop(crop: int, field: str) -> None:
    if not crop:
        raise DataError(
            f"transform_param: pictures of random sizes ({field}) need a crop_size, which gives them all one size."
        )
    if crop > LONGEST:
        raise DataError(f"transform_param: crop_size {crop} is more than the {LONGEST} pixels that can be resized to.")


def _too_long(height: int, width: int, longest: float) -> str | None:
    if longest <= LONGEST:
        return None
    return (
        f"is {height}×{width} and can be stretched to {longest:.0f} pixels, more than the {LONGEST} that OpenCV "
        "allows; ask for smaller sizes in transform_param"
    )
