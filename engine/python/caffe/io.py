"""`caffe.io`: converts pictures, blobs and datums to and from numpy, and preprocesses pictures for deploy nets."""

import importlib
import os
from collections.abc import Mapping, Sequence
from operator import index
from typing import IO, Any

import numpy as np
from google.protobuf.message import DecodeError

from engine.data import datum as datums
from engine.errors import DataError, NetError, SnapshotError
from engine.host import regular_file
from engine.proto import binary, caffe_pb2

from .errors import ArrayError, PictureError
from .files import File, is_name

Shape = Sequence[int]

OUTSIDE = {
    "constant": "grid-constant", "edge": "nearest", "symmetric": "reflect", "reflect": "mirror", "wrap": "grid-wrap",
}  # fmt: skip
"""skimage's names for ways to extend a picture beyond its border, and scipy's names for the same."""

ADDRESSES = ("http://", "https://", "ftp://", "file://")
"""The prefixes by which skimage tells a URL from a file's name."""

SECONDS = 30
"""Time-out for a silent server: many cluster nodes have no internet access, and connections just hang."""

REC_709 = np.array([0.2125, 0.7154, 0.0721])
"""Weights of red, green and blue in grey, as in skimage. OpenCV, which reads Caffe's databases, uses Rec. 601."""


def load_image(filename: File | IO[bytes], color: bool = True) -> np.ndarray:
    """Reads a picture as float32 in [0, 1]: (height, width, 3) in the order R, G, B, or (height, width, 1).

    As in skimage, all its bits are used, its EXIF orientation is ignored, and its alpha channel is dropped. `filename`
    may also be a URL (http:, https:, ftp:, file:) or an open file. Raises DataError if it cannot be read.
    """
    name = os.fsdecode(filename) if is_name(filename) else getattr(filename, "name", "picture")
    try:
        image = datums.decode_any_depth(_read(filename), datums.Colour.AS_STORED)
    except OSError as e:
        kind = PictureError if isinstance(e, FileNotFoundError) else DataError
        raise kind(f"{name}: cannot be read: {e.strerror or getattr(e, 'reason', e)}.") from e
    except DataError as e:
        raise DataError(f"{name}: {e}.") from e
    values = image[2::-1].transpose(1, 2, 0).astype(np.float64)  # from OpenCV's B, G, R, and maybe alpha
    if image.dtype.kind in "iu":
        values /= np.iinfo(image.dtype).max
    if not color and values.shape[2] == 3:
        values = values @ REC_709[:, None]
    return np.repeat(values, 3 if color and values.shape[2] == 1 else 1, axis=2).astype(np.float32)


def _read(source: File | IO[bytes]) -> bytes:
    """The contents of a file or a URL."""
    if not isinstance(source, str | bytes | os.PathLike):
        return source.read()
    name = os.fsdecode(source)
    if not name.startswith(ADDRESSES):
        return regular_file.read(name)
    from http.client import HTTPException  # noqa: PLC0415  takes a tenth of a second, and few need it
    from urllib.request import urlopen  # noqa: PLC0415

    try:
        with urlopen(name, timeout=SECONDS) as answer:  # noqa: S310  ADDRESSES
            return bytes(answer.read())
    except HTTPException as e:  # a malformed URL or answer
        raise OSError(f"{type(e).__name__} {e}".strip()) from e


def resize_image(im: np.ndarray, new_dims: Shape, interp_order: int = 1) -> np.ndarray:
    """Resizes a picture (height, width, channels) to another (height, width), float32, by splines of order 0 to 5.

    As Caffe does with skimage 0.9 to 0.14, none of which blurs before shrinking. With 1 or 3 channels, pixels are areas
    and the outside has the picture's least value, to which the border fades when the picture is enlarged. With other
    numbers of channels, the corners stay in place, as in scipy.ndimage.zoom. new_dims of length 3 resize the channels
    too. Raises ArrayError.
    """
    im = np.asarray(im)
    height, width, *channels = (int(d) for d in new_dims)
    sizes_fit = im.ndim == 3 and im.size and len(channels) < 2 and min(height, width, *channels) > 0
    if not sizes_fit or interp_order not in range(6):
        raise ArrayError(
            f"resize_image of shape {list(im.shape)} to {list(new_dims)} with order {interp_order}: a picture is "
            "(height, width, channels), each 1 or more, and the order must be 0 to 5."
        )
    size = (height, width, *(channels or im.shape[2:]))
    if im.shape[2] not in (1, 3):
        return _zoomed(im, size, interp_order, {}).astype(np.float32)
    least, most = im.min(), im.max()
    if not most > least:
        return np.full(size, least, np.float32)
    return (resize((im - least) / (most - least), size, interp_order) * (most - least) + least).astype(np.float32)


def resize(
    image: np.ndarray,
    output_shape: Shape,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0,
    clip: bool = True,
    preserve_range: bool = False,
) -> np.ndarray:
    """skimage's function of this name, which pycaffe's `caffe.io` imports. As in skimage 0.9 to 0.14, it does not blur.

    Resizes an array to another (height, width), or another size on all axes, by splines of order 0 to 5; float64.
    Integers are divided by the largest value of their type, unless `preserve_range` is set. mode: how to extend the
    array beyond its border: with `cval` (constant), or edge, symmetric, reflect, wrap. clip: limits the results to the
    array's range of values. Raises ArrayError.
    """
    im = np.asarray(image)
    shape = (*(int(d) for d in output_shape), *im.shape[len(output_shape) :])
    if len(shape) != im.ndim or not im.size or min(shape) < 1 or order not in range(6) or mode not in OUTSIDE:
        raise ArrayError(
            f"resize of shape {list(im.shape)} to {list(output_shape)} with order {order}, mode {mode!r}: sizes must "
            f"be 1 or more, the order 0 to 5, and the mode one of {', '.join(OUTSIDE)}."
        )
    scale = np.iinfo(im.dtype).max if im.dtype.kind in "iu" and not preserve_range else 1
    values = im.astype(np.float64) / scale
    resized = _zoomed(values, shape, order, {"mode": OUTSIDE[mode], "cval": cval, "grid_mode": True})
    outside = resized == cval if mode == "constant" else False
    return np.where(outside, resized, np.clip(resized, np.min(values), np.max(values))) if clip else resized


def _zoomed(im: np.ndarray, shape: Shape, order: int, how: dict[str, Any]) -> np.ndarray:
    """scipy's zoom, applied to each channel separately if their number does not change."""
    from scipy.ndimage import zoom  # noqa: PLC0415  takes a tenth of a second, needed only for resizing

    factors = [new / old for new, old in zip(shape, im.shape, strict=True)]
    if im.ndim != 3 or shape[2] != im.shape[2]:
        return zoom(im, factors, order=order, **how)
    return np.stack([zoom(im[:, :, c], factors[:2], order=order, **how) for c in range(shape[2])], axis=2)


def __getattr__(name: str) -> Any:
    """`caffe.io.skimage`, from which some programs take skimage."""
    if name != "skimage":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        skimage = importlib.import_module("skimage")
        importlib.import_module("skimage.io")
    except ModuleNotFoundError as e:
        raise ModuleNotFoundError(
            f"caffe.io.skimage needs {e.name}, which is not installed: pip install scikit-image", name=e.name
        ) from e
    return skimage


def oversample(images: Sequence[np.ndarray], crop_dims: Shape) -> np.ndarray:
    """Ten crops of each picture (height, width, channels): four corners and the centre, then their mirror images.

    Returns (10 · pictures, *crop_dims, channels), float32. Raises ArrayError if a crop is larger than its picture.
    """
    height, width = (int(d) for d in crop_dims)
    crops = []
    for im in images:
        bottom, right = im.shape[0] - height, im.shape[1] - width
        if bottom < 0 or right < 0:
            raise ArrayError(f"a crop of {height} × {width} does not fit a picture of {im.shape[0]} × {im.shape[1]}.")
        places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        five = [im[y : y + height, x : x + width] for y, x in places]
        crops += five + [crop[:, ::-1] for crop in five]
    if len({crop.shape for crop in crops}) != 1:
        raise ArrayError(
            f"oversample needs at least one picture, all with the same number of channels; got {len(images)} pictures."
        )
    return np.stack(crops).astype(np.float32)


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> np.ndarray:
    """A BlobProto's values, or its diff, in its shape, float64. Raises ArrayError if their number does not fit it."""
    if return_diff:
        blob = caffe_pb2.BlobProto(
            shape=blob.shape if blob.HasField("shape") else None, data=blob.diff, double_data=blob.double_diff,
            **{f: getattr(blob, f) for f in ("num", "channels", "height", "width") if blob.HasField(f)},
        )  # fmt: skip
    try:
        return np.array(binary.to_array(blob), np.float64)
    except SnapshotError as e:
        raise ArrayError(str(e)) from e


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> caffe_pb2.BlobProto:
    """A BlobProto with an array's shape and values."""
    return binary.from_array(arr, diff)


def arraylist_to_blobprotovector_str(arraylist: Sequence[np.ndarray]) -> bytes:
    """Arrays as the bytes of a BlobProtoVector."""
    return caffe_pb2.BlobProtoVector(blobs=[array_to_blobproto(arr) for arr in arraylist]).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """The arrays in the bytes of a BlobProtoVector. Raises DataError for other bytes."""
    try:
        vector = caffe_pb2.BlobProtoVector.FromString(str)
    except DecodeError as e:
        raise DataError(f"not a BlobProtoVector ({len(str):,} bytes).") from e
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> caffe_pb2.Datum:
    """A Datum with an array (channels, height, width): as bytes if it is uint8, otherwise as floats.

    Raises ArrayError.
    """
    if arr.ndim != 3:
        raise ArrayError(f"a datum has three axes, (channels, height, width); this array has shape {list(arr.shape)}.")
    channels, height, width = arr.shape
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.ravel().tolist())
    if label is not None:
        datum.label = int(index(label))  # protobuf 7 does not accept a bool as a number
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> np.ndarray:
    """The values of a Datum (channels, height, width): uint8, or float64 if it holds floats. Raises ArrayError."""
    try:
        pixels = datums.pixels(datum)
    except DataError as e:
        raise ArrayError(f"this Datum {e}.") from e
    return np.array(pixels, None if pixels.dtype == np.uint8 else np.float64)


class Transformer:
    """Converts pictures (height, width, channels) to the form of a net's input, and back.

    The steps, in this order: resize, transpose, swap channels, scale, subtract the mean, scale the input. `inputs`: the
    shape of each input blob, (batch, channels, height, width).
    """

    def __init__(self, inputs: Mapping[str, Shape]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Shape] = {}
        self.channel_swap: dict[str, Shape] = {}
        self.raw_scale: dict[str, float | None] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float | None] = {}

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """A picture in the form of the input `in_`: (channels, height, width), float32.

        `data`: (height, width, channels). Raises ArrayError if the input is not for pictures or needs more channels.
        """
        self._known(in_)
        x = np.asarray(data).astype(np.float32, copy=False)
        if len(self.inputs[in_]) != 4:
            raise ArrayError(
                f'input "{in_}" has shape {list(self.inputs[in_])}; for pictures it must be (batch, channels, height, '
                "width)."
            )
        if x.shape[:2] != self.inputs[in_][2:]:
            x = resize_image(x, self.inputs[in_][2:])
        transpose, swap, raw_scale, mean, input_scale = self.steps(in_)
        if transpose is not None:
            x = x.transpose(transpose)
        if swap is not None:
            if len(x) <= max(swap):
                raise ArrayError(f"channel swap {swap} does not fit a picture of {len(x)} channels.")
            x = x[list(swap)]
        return (x * raw_scale - mean) * input_scale

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Undoes `preprocess`, except for the resizing."""
        self._known(in_)
        transpose, swap, raw_scale, mean, input_scale = self.steps(in_)
        of_a_batch = data[0] if data.ndim == 4 and len(data) == 1 else data
        keeps_axes = transpose is not None or in_ in self.mean
        x = (of_a_batch if keeps_axes else data.squeeze()).astype(np.float32)
        x = (x / input_scale + mean) / raw_scale
        if swap is not None:
            x = x[np.argsort(swap)]
        return x if transpose is None else x.transpose(np.argsort(transpose))

    def set_transpose(self, in_: str, order: Shape) -> None:
        """Sets the order of axes: (2, 0, 1) puts channels first. Raises NetError."""
        self._known(in_)
        if sorted(order) != list(range(len(self.inputs[in_]) - 1)):
            raise NetError(
                f"transpose {tuple(order)} is not a permutation of the {len(self.inputs[in_]) - 1} axes of a picture."
            )
        self.transpose[in_] = tuple(order)

    def set_channel_swap(self, in_: str, order: Shape) -> None:
        """Sets the order of channels: (2, 1, 0) turns R, G, B into B, G, R. Raises NetError."""
        self._known(in_)
        channels = self.inputs[in_][1]
        if len(order) != channels or not all(0 <= c < channels for c in order):
            raise NetError(f'channel swap {tuple(order)}: input "{in_}" has {channels} channels, numbered from 0.')
        self.channel_swap[in_] = tuple(order)

    def set_raw_scale(self, in_: str, scale: float | None) -> None:
        """Sets the factor applied before the mean is subtracted: 255 for pictures in [0, 1] and a mean in [0, 255].

        None skips the step, as for every step.
        """
        self._known(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Sets the mean: one value per channel, or an image, (channels, height, width) or (height, width) for all.

        An image of another height and width is resized. Raises ArrayError if the channels do not fit.
        """
        self._known(in_)
        channels, *size = self.inputs[in_][1:]
        try:
            mean = np.asarray(mean, np.float32)
        except (TypeError, ValueError):
            raise ArrayError(
                f"the mean must be an array of numbers, not {type(mean).__name__}: numpy.load reads a .npy, "
                "blobproto_to_array a BlobProto."
            ) from None
        if mean.ndim == 2:
            mean = mean[None]
        if mean.ndim not in (1, 3) or len(mean) not in ((channels,) if mean.ndim == 1 else (channels, 1)):
            first = " Take the first of the batch: mean[0]." if mean.ndim == 4 and len(mean) == 1 else ""
            raise ArrayError(
                f'a mean of shape {list(mean.shape)} does not fit input "{in_}" of {[channels, *size]}: give one value '
                f"per channel, or (channels, height, width).{first}"
            )
        if mean.ndim == 1:
            mean = mean[:, None, None]
        elif list(mean.shape[1:]) != size:
            mean = resize_image(mean.transpose(1, 2, 0), size).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float | None) -> None:
        """Sets the factor applied last; None skips it."""
        self._known(in_)
        self.input_scale[in_] = scale

    def _known(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise NetError(f'"{in_}" is not an input; the inputs are {", ".join(self.inputs)}.')

    def steps(self, in_: str) -> tuple[Shape | None, Shape | None, np.ndarray, np.ndarray, np.ndarray]:
        """transpose, channel swap, raw scale, mean, input scale. The last three are neutral values if not set."""
        raw_scale, mean, input_scale = (
            np.asarray(default if table.get(in_) is None else table[in_], np.float32)
            for table, default in ((self.raw_scale, 1), (self.mean, 0), (self.input_scale, 1))
        )
        return self.transpose.get(in_), self.channel_swap.get(in_), raw_scale, mean, input_scale
