"""Applies a layer's `transform_param` to pictures: crop, mirror, subtract the mean, scale."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from engine.data import random_sizes
from engine.data.augment import Augmentation, generator
from engine.data.datum import Colour
from engine.errors import DataError, EngineError, PrototxtError
from engine.host import regular_file
from engine.proto import binary
from engine.proto import caffe_pb2 as pb


class Misfit(DataError):
    """An undamaged picture whose size or number of channels does not fit transform_param."""


class Transform:
    """y = (crop(mirror(x)) − mean) · scale, in float32, with the mean cropped and mirrored like the picture.

    The crop is at a random place in TRAIN and in the centre in TEST; `mirror` flips a picture with probability 1/2, in
    both phases. `augmentation` first changes x, and the mean with it, and finally cuts squares out of y; by default in
    TRAIN only. If a fork's fields resize x first, the centre of the mean is subtracted, as in NVIDIA's Caffe.
    on_device: whether pictures of bytes stay bytes where possible, only cropped and mirrored, and the device does the
    rest. Raises DataError for contradictory parameters, PrototxtError for a mean file that cannot be read.
    """

    def __init__(self, param: pb.TransformationParameter, phase: int, mean_file: Path | None = None) -> None:
        self.on_device = False
        if param.force_color and param.force_gray:
            raise DataError("transform_param: force_color and force_gray exclude each other; keep one.")
        if param.mean_value and mean_file is not None:
            raise DataError("transform_param: mean_file and mean_value exclude each other; keep one.")
        self.crop = param.crop_size
        self.mirror = param.mirror
        self.scale = np.float32(param.scale)
        self.random_crop = bool(self.crop) and phase == pb.TRAIN
        self.colour = Colour.COLOUR if param.force_color else Colour.GREY if param.force_gray else Colour.AS_STORED
        self.values = np.array(param.mean_value, np.float32)
        self.mean = None if mean_file is None else read_mean(mean_file)
        augmentation = Augmentation(param.augmentation, self.crop) if param.HasField("augmentation") else None
        self.augmentation = augmentation if phase == pb.TRAIN or param.augmentation.in_test else None
        self.sizes = random_sizes.of(param)
        if self.sizes is not None:
            if self.augmentation is not None:
                raise DataError(
                    "transform_param: augmentation and pictures of random sizes exclude each other; keep one."
                )
            self.mean = None if self.mean is None else _middle(self.mean, self.crop)
        # An augmentation subtracts the mean itself, since it changes the mean together with the picture.
        subtracted = None if self.augmentation is not None else self.mean
        self.mirrored_mean = None if subtracted is None else np.ascontiguousarray(subtracted[..., ::-1])

    def shape(self, picture: tuple[int, ...]) -> tuple[int, int, int]:
        """The shape (channels, height, width) that a picture of this shape is transformed to. Raises Misfit."""
        channels, height, width = picture
        if self.augmentation is not None:
            self.augmentation.check(channels)
        if self.sizes is not None and (complaint := self.sizes.misfit(height, width)):
            raise Misfit(complaint)
        stretches = self.sizes is not None or (self.augmentation is not None and self.augmentation.resizes)
        if self.crop and min(height, width) < self.crop and not stretches:
            raise Misfit(
                f"is {height}×{width}, smaller than crop_size {self.crop}; choose a smaller crop, or make it larger"
            )
        if self.values.size not in (0, 1, channels):
            raise Misfit(
                f"has {channels} channels and transform_param has {self.values.size} mean_value; give one, or one per "
                "channel"
            )
        subtracted = (channels, self.crop, self.crop) if self.sizes is not None else tuple(picture)
        if self.mean is not None and self.mean.shape != subtracted:
            raise Misfit(f"is {by(subtracted)} and the mean of mean_file {by(self.mean.shape)}; they must be equal")
        return (channels, self.crop, self.crop) if self.crop else (channels, height, width)

    def stored(self, picture: np.ndarray) -> type[np.generic]:
        """The type of a batch of pictures like this one: float32, or uint8 if the device does the rest."""
        deferred = self.on_device and picture.dtype == np.uint8 and not self.augmentation and not self.sizes
        return np.uint8 if deferred else np.float32

    def __call__(self, pictures: Sequence[np.ndarray] | np.ndarray, draws: np.ndarray, out: np.ndarray) -> None:
        """Transforms pictures (channels, height, width) of any sizes into `out`, float32 (n, channels, height, width).

        If `out` is uint8, they are only cropped and mirrored. Every picture's `shape` must be that of a row of `out`.

        `draws`, uniform numbers (n, 3) in [0, 1), decide on each picture's mirroring and on the top and left of its
        crop; the other random changes use the three as the seed of further numbers.
        """
        if self.augmentation is not None:
            pictures = [self.augmentation.change(p, self.mean, u) for p, u in zip(pictures, draws, strict=True)]
        if self.sizes is not None:
            pictures = [self.sizes.change(p, generator(u, 0)) for p, u in zip(pictures, draws, strict=True)]
        if isinstance(pictures, np.ndarray) and not self.mirror and not self.random_crop:
            self._subtract(pictures, 0, 0, False, out)  # all at once
        else:
            for row, picture, (flip, top, left) in zip(out, pictures, draws.tolist(), strict=True):
                self._subtract(picture, top, left, self.mirror and flip < 0.5, row)  # as `mirrors` says
        if out.dtype == np.uint8:
            return
        if self.values.size:
            out -= self.values[:, None, None]
        if self.scale != 1:
            out *= self.scale
        if self.augmentation is not None:
            self.augmentation.cut_out(out, draws)

    def _subtract(self, pictures: np.ndarray, top: float, left: float, flip: bool, out: np.ndarray) -> None:
        """Writes the crop of one or several pictures, mirrored if `flip`, minus the same crop of the mean, to `out`."""
        height, width = pictures.shape[-2:]
        rows, columns = self._window(height, width, top, left)
        picture = pictures[..., rows, columns]
        # One pass to reorder and mirror the pixels as bytes, and one to convert them to floats: three times as fast as
        # letting numpy subtract from an array that is not contiguous.
        out[...] = _planes(picture, flip) if flip or picture.strides[-1] != picture.itemsize else picture
        if self.mean is not None and self.mirrored_mean is not None and out.dtype != np.uint8:
            if self.sizes is not None:  # the mean has been cropped already
                rows = columns = slice(0, width := self.crop)
            mirrored = slice(width - columns.stop, width - columns.start)
            out -= self.mirrored_mean[..., rows, mirrored] if flip else self.mean[..., rows, columns]

    def mirrors(self, draw: np.ndarray) -> bool:
        """Whether a picture with this draw (3) is mirrored."""
        return self.mirror and bool(draw[0] < 0.5)

    def part(self, size: tuple[int, int], draw: np.ndarray) -> np.ndarray:
        """The part of a picture of this height and width that its crop keeps: xmin, ymin, xmax, ymax from 0 to 1."""
        height, width = size
        rows, columns = self._window(height, width, *draw[1:].tolist())
        return np.array([columns.start / width, rows.start / height, columns.stop / width, rows.stop / height], "f4")

    def corner(self, size: tuple[int, ...], draw: np.ndarray) -> tuple[int, int]:
        """The first row and column of the crop of a picture of this height and width."""
        rows, columns = self._window(*size, *draw[1:].tolist())
        return rows.start, columns.start

    def _window(self, height: int, width: int, top: float, left: float) -> tuple[slice, slice]:
        if not self.crop:
            return slice(0, height), slice(0, width)
        rows, columns = height - self.crop, width - self.crop
        y, x = (int(top * (rows + 1)), int(left * (columns + 1))) if self.random_crop else (rows // 2, columns // 2)
        return slice(y, y + self.crop), slice(x, x + self.crop)


def _planes(picture: np.ndarray, flip: bool) -> np.ndarray:
    """A copy of a picture (channels, height, width), contiguous channel by channel, mirrored if `flip`."""
    planes = np.empty(picture.shape, picture.dtype)
    if len(picture) > 1 and picture.strides[0] == picture.itemsize:  # OpenCV's layout, pixel by pixel
        cv2.split(picture.transpose(1, 2, 0), list(planes))
    else:
        planes[...] = picture
    if flip:
        rows = planes.reshape(-1, planes.shape[-1])
        cv2.flip(rows, 1, dst=rows)  # several times faster than numpy's negative strides
    return planes


def _middle(mean: np.ndarray, side: int) -> np.ndarray:
    """The centre, `side` × `side`, of a mean (channels, height, width). Raises DataError if it is smaller."""
    _, height, width = mean.shape
    if min(height, width) < side:
        raise DataError(f"mean_file: the mean is {by(mean.shape)}, smaller than crop_size {side}; make a larger one.")
    top, left = (height - side) // 2, (width - side) // 2
    return mean[:, top : top + side, left : left + side]


def read_mean(path: Path) -> np.ndarray:
    """The mean (channels, height, width) in a file. Raises PrototxtError and DataError for one that cannot be used."""
    try:
        blob = binary.read(path, pb.BlobProto)
    except PrototxtError as e:
        hint = "" if regular_file.exists(path) else f" Make it: compute_image_mean DATABASE {path}"
        raise PrototxtError(f"mean_file {e}{hint}") from e
    try:
        mean = binary.to_array(blob)
    except EngineError as e:
        raise DataError(f"mean_file {path}: {e}") from e
    if mean.ndim == 4 and mean.shape[0] == 1:
        mean = mean[0]
    if mean.ndim != 3:
        raise DataError(
            f"mean_file {path}: has shape {list(mean.shape)}; one picture (channels, height, width) is needed."
        )
    return mean


def by(shape: Sequence[int]) -> str:
    """A shape as messages show it: 3×20×30."""
    return "×".join(map(str, shape))
