"""Random changes to pictures that Caffe does not have: `augmentation { … }` in a layer's transform_param."""

import math
from collections.abc import Callable

import cv2
import numpy as np

from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

_GREY = np.array([0.114, 0.587, 0.299])
"""Weights of blue, green and red in grey, as everywhere in OpenCV (ITU-R BT.601)."""

_YIQ = np.array([_GREY, [-0.322, -0.274, 0.596], [0.312, -0.523, 0.211]])
"""Converts blue, green and red to grey and two colour axes, in whose plane hue is an angle (NTSC, 1953)."""

_TRIES = 10
_SHARES = ("min_area", "max_area")
_SHAPES = ("min_aspect", "max_aspect")


class Augmentation:
    """Rotation, crops of random size and shape, jittered colours, cut-out squares; in the order of the fields.

    What happens to a picture depends on its own random numbers only, not on the thread. Raises DataError for parameters
    that make no sense.
    """

    def __init__(self, param: pb.AugmentationParameter, crop: int) -> None:
        self.param, self.crop = param, crop
        self.resizes = any(param.HasField(name) for name in (*_SHARES, *_SHAPES))
        self._tints = bool(param.saturation or param.hue)
        self._jitters = bool(param.brightness or param.contrast or self._tints)
        self._check()

    def check(self, channels: int) -> None:
        """Raises DataError, whose message continues after the picture's name, for an unsuitable number of channels."""
        if self._tints and channels != 3:
            raise DataError(f"has {channels} channels; saturation and hue need pictures in colour, with 3")

    def change(self, picture: np.ndarray, mean: np.ndarray | None, draw: np.ndarray) -> np.ndarray:
        """The picture (channels, height, width) rotated, cropped and with changed colours, minus the mean, if there is
        one, rotated and cropped in the same way. `draw`: the picture's random numbers (3).

        Without a mean, a uint8 picture stays uint8.
        """
        rng = generator(draw, 0)
        if self.param.rotation:
            angle = rng.uniform(-self.param.rotation, self.param.rotation)
            picture, mean = rotated(picture, angle), mean if mean is None else rotated(mean, angle)
        if self.resizes:
            _, height, width = picture.shape
            part = self._part(height, width, rng)
            picture = stretched(picture[part], self.crop)
            mean = mean if mean is None else stretched(mean[part], self.crop)
        changed = self._jittered(picture, rng) if self._jitters else picture
        return changed if mean is None else changed - mean

    def cut_out(self, rows: np.ndarray, draws: np.ndarray) -> None:
        """Sets a square of each picture in `rows` (n, channels, height, width) to 0, centred at a random place in it.

        T. DeVries, G. Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
        """
        side = self.param.cut_out
        if not side:
            return
        for row, draw in zip(rows, draws, strict=True):
            centre = generator(draw, 1).random(2) * row.shape[1:]
            top, left = (int(c) - side // 2 for c in centre)
            row[:, max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = 0

    def _part(self, height: int, width: int, rng: np.random.Generator) -> tuple[slice, slice, slice]:
        """The part of a picture of that size that becomes the crop.

        C. Szegedy et al., "Going deeper with convolutions", 2015, section 6. If none of the random parts fits, it is
        the largest part in the middle whose shape is allowed.
        """
        p = self.param
        for _ in range(_TRIES):
            area = height * width * rng.uniform(p.min_area, p.max_area)
            aspect = math.exp(rng.uniform(math.log(p.min_aspect), math.log(p.max_aspect)))
            u, v = rng.random(2).tolist()
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                break
        else:
            u = v = 0.5
            aspect = min(max(width / height, p.min_aspect), p.max_aspect)
            w, h = max(1, min(width, round(height * aspect))), max(1, min(height, round(width / aspect)))
        top, left = int(u * (height - h + 1)), int(v * (width - w + 1))
        return np.s_[:, top : top + h, left : left + w]

    def _jittered(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Changes brightness, contrast, saturation and hue, in this order; each is linear, so all are one matrix.

        For a pixel x of blue, green and red, whose grey is g·x: brightness is b·x; contrast c·x + (1 − c)·mean grey;
        saturation s·x + (1 − s)·g·x; hue a rotation about the axis of greys.
        """
        p = self.param
        brightness, contrast, saturation = 1 + rng.uniform(-1, 1, 3) * (p.brightness, p.contrast, p.saturation)
        turn = 2 * math.pi * rng.uniform(-p.hue, p.hue)
        if len(picture) != 3:
            level = brightness * float(picture.mean(dtype=np.float64))
            scaled = picture * np.float32(brightness * contrast) + np.float32((1 - contrast) * level)
            return np.clip(np.rint(scaled), 0, 255).astype(np.uint8) if picture.dtype == np.uint8 else scaled
        values = np.ascontiguousarray(picture.transpose(1, 2, 0))
        level = brightness * float(_GREY @ cv2.mean(values)[:3])
        cos, sin = math.cos(turn), math.sin(turn)
        turned = np.linalg.inv(_YIQ) @ [[1, 0, 0], [0, cos, -sin], [0, sin, cos]] @ _YIQ
        matrix = brightness * contrast * turned @ (saturation * np.eye(3) + (1 - saturation) * _GREY)
        offset = np.full(3, (1 - contrast) * level)
        return cv2.transform(values, np.column_stack([matrix, offset]).astype(np.float32)).transpose(2, 0, 1)

    def _check(self) -> None:
        p = self.param
        for field, value in p.ListFields():
            if field.name != "in_test" and not (math.isfinite(value) and value >= 0):
                raise _wrong(f"{field.name} {value:g}; 0 or more is needed")
        if p.rotation > 180:
            raise _wrong(f"rotation {p.rotation:g}; degrees from 0 to 180 are allowed")
        for name in ("brightness", "contrast", "saturation"):
            if getattr(p, name) > 1:
                raise _wrong(f"{name} {getattr(p, name):g}; 0 to 1 is allowed: values are multiplied by 1 ± that")
        if p.hue > 0.5:
            raise _wrong(f"hue {p.hue:g}; 0 to 0.5 is allowed, 0.5 being half of the circle of colours")
        for least, most in (_SHARES, _SHAPES):
            low, high = getattr(p, least), getattr(p, most)
            if not 0 < low <= high:
                raise _wrong(f"{least} {low:g} and {most} {high:g}; the first must be above 0 and not above the second")
        if p.max_area > 1:
            raise _wrong(f"max_area {p.max_area:g}; it is a fraction of the picture, 1 at most")
        if self.resizes and not self.crop:
            raise _wrong("crops of random size are stretched to crop_size, and transform_param has none")


def rotated(picture: np.ndarray, degrees: float) -> np.ndarray:
    """The picture (channels, height, width) rotated counterclockwise about its centre; corners are reflected."""
    _, height, width = picture.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    border = cv2.BORDER_REFLECT_101
    return by_fours(picture, lambda part: cv2.warpAffine(part, matrix, (width, height), borderMode=border))


def stretched(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture (channels, height, width) resized to `side` × `side`, bilinearly as Caffe does."""
    return by_fours(picture, lambda part: cv2.resize(part, (side, side)))


def by_fours(picture: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Applies `change`, an OpenCV function, to a picture (channels, height, width), four channels at a time.

    OpenCV takes at most four channels, as the last axis. Decoded pictures, and those returned, already have its layout
    in memory.
    """
    parts = []
    for begin in range(0, len(picture), 4):
        changed = change(np.ascontiguousarray(picture[begin : begin + 4].transpose(1, 2, 0)))
        parts.append(changed.reshape(*changed.shape[:2], -1).transpose(2, 0, 1))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def generator(draw: np.ndarray, part: int) -> np.random.Generator:
    """The random numbers for one `part` of the changes to a picture, seeded with its draw (3)."""
    return np.random.default_rng([part, *draw.view(np.uint64).tolist()])


def _wrong(what: str) -> DataError:
    return DataError(f"transform_param's augmentation: {what}.")
