"""`caffe.io`: pictures, blobs and datums to and from numpy, and the preprocessing that deployed nets expect."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from engine.data import datum as datums
from engine.errors import DataError, NetError
from engine.proto import binary
from engine.proto import caffe_pb2 as pb

Shape = Sequence[int]


def load_image(filename: str | Path, color: bool = True) -> np.ndarray:
    """A picture as float32 in [0, 1]: (height, width, 3) in the order R, G, B, or (height, width, 1).

    Raises DataError where it cannot be read.
    """
    try:
        data = Path(filename).read_bytes()
    except OSError as e:
        raise DataError(f"{filename}: cannot be read: {e.strerror}.") from e
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise DataError(f"{filename}: no picture that OpenCV can decode.")
    values = picture.astype(np.float32) / 255
    return values[:, :, ::-1].copy() if color else values[:, :, None]


def resize_image(im: np.ndarray, new_dims: Shape, interp_order: int = 1) -> np.ndarray:
    """A picture (height, width, channels) in another (height, width): nearest (order 0), linear (1) or cubic (3)."""
    methods = {0: cv2.INTER_NEAREST, 1: cv2.INTER_LINEAR, 3: cv2.INTER_CUBIC}
    if interp_order not in methods:
        raise DataError(f"interp_order {interp_order}; there are {', '.join(map(str, methods))}.")
    height, width = (int(d) for d in new_dims)
    planes = [
        cv2.resize(np.ascontiguousarray(im[:, :, c], np.float32), (width, height), interpolation=methods[interp_order])
        for c in range(im.shape[2])
    ]
    return np.stack(planes, axis=2)


def oversample(images: Sequence[np.ndarray], crop_dims: Shape) -> np.ndarray:
    """Ten crops of each picture (height, width, channels): four corners and the centre, then their mirror images."""
    height, width = (int(d) for d in crop_dims)
    crops = []
    for im in images:
        bottom, right = im.shape[0] - height, im.shape[1] - width
        if bottom < 0 or right < 0:
            raise DataError(f"a crop of {height} × {width} does not fit a picture of {im.shape[0]} × {im.shape[1]}.")
        places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        five = [im[y : y + height, x : x + width] for y, x in places]
        crops += five + [crop[:, ::-1] for crop in five]
    return np.stack(crops).astype(np.float32)


def blobproto_to_array(blob: pb.BlobProto, return_diff: bool = False) -> np.ndarray:
    """The values of a BlobProto, or its diff, in its shape."""
    if return_diff:
        blob = pb.BlobProto(
            shape=blob.shape if blob.HasField("shape") else None, data=blob.diff,
            **{f: getattr(blob, f) for f in ("num", "channels", "height", "width") if blob.HasField(f)},
        )  # fmt: skip
    return binary.to_array(blob)


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> pb.BlobProto:
    """A BlobProto of an array's shape and values."""
    return binary.from_array(arr, diff)


def array_to_datum(arr: np.ndarray, label: int | None = None) -> pb.Datum:
    """A Datum of an array (channels, height, width): its bytes if it is uint8, floats else."""
    if arr.ndim != 3:
        raise DataError(f"a datum has three axes, (channels, height, width); this array has shape {list(arr.shape)}.")
    channels, height, width = arr.shape
    datum = pb.Datum(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.ravel().tolist())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: pb.Datum) -> np.ndarray:
    """The values of a Datum (channels, height, width): uint8, or float32 where it holds floats. Raises DataError."""
    return datums.pixels(datum)


class Transformer:
    """Pictures (height, width, channels) to what a net's input takes, and back.

    In this order: resize, transpose, swap channels, scale, subtract the mean, scale the input. `inputs`: the shape of
    each input blob, (batch, channels, height, width).
    """

    def __init__(self, inputs: Mapping[str, Shape]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Shape] = {}
        self.channel_swap: dict[str, Shape] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """A picture as the input `in_` takes it: (channels, height, width), float32."""
        self._known(in_)
        x = data.astype(np.float32, copy=False)
        if x.shape[:2] != self.inputs[in_][2:]:
            x = resize_image(x, self.inputs[in_][2:])
        if in_ in self.transpose:
            x = x.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            x = x[list(self.channel_swap[in_])]
        x = x * np.float32(self.raw_scale.get(in_, 1))
        x = x - self.mean.get(in_, np.float32(0))
        return x * np.float32(self.input_scale.get(in_, 1))

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """What `preprocess` made, undone but for the resizing."""
        self._known(in_)
        x = data.squeeze().astype(np.float32) / np.float32(self.input_scale.get(in_, 1))
        x = (x + self.mean.get(in_, np.float32(0))) / np.float32(self.raw_scale.get(in_, 1))
        if in_ in self.channel_swap:
            x = x[np.argsort(self.channel_swap[in_])]
        return x.transpose(np.argsort(self.transpose[in_])) if in_ in self.transpose else x

    def set_transpose(self, in_: str, order: Shape) -> None:
        """The order of axes: (2, 0, 1) puts channels first."""
        self._known(in_)
        if sorted(order) != list(range(len(self.inputs[in_]) - 1)):
            raise NetError(
                f"transpose {tuple(order)} is no order of the {len(self.inputs[in_]) - 1} axes of a picture."
            )
        self.transpose[in_] = tuple(order)

    def set_channel_swap(self, in_: str, order: Shape) -> None:
        """The order of channels: (2, 1, 0) makes B, G, R of R, G, B."""
        self._known(in_)
        if len(order) != self.inputs[in_][1]:
            raise NetError(f'channel swap {tuple(order)}: input "{in_}" has {self.inputs[in_][1]} channels.')
        self.channel_swap[in_] = tuple(order)

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """What pictures are multiplied with before the mean: 255 for those in [0, 1] and a mean in [0, 255]."""
        self._known(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """A mean for each channel, or for each value (channels, height, width)."""
        self._known(in_)
        shape = self.inputs[in_][1:]
        if mean.shape not in ((shape[0],), (1,), shape, (1, *shape[1:])):
            raise NetError(f'a mean of shape {list(mean.shape)} does not fit input "{in_}" of {list(shape)}.')
        self.mean[in_] = np.asarray(mean, np.float32).reshape(*mean.shape, *[1] * (3 - mean.ndim))

    def set_input_scale(self, in_: str, scale: float) -> None:
        """What is multiplied with last."""
        self._known(in_)
        self.input_scale[in_] = scale

    def _known(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise NetError(f'"{in_}" is no input; there are {", ".join(self.inputs)}.')
