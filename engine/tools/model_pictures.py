"""Draws what a net has learned: its filters, and its feature maps of a picture."""

from pathlib import Path

import numpy as np

from engine.data.contact_sheet import ContactSheet, contact_sheet
from engine.data.datum import Colour
from engine.data.image_source import read_picture
from engine.errors import DataError, NetError
from engine.proto.caffe_pb2 import TEST

MOST = 1024
"""Pictures per sheet."""


def filters(weights: np.ndarray) -> tuple[ContactSheet, str]:
    """A sheet of the kernels in a convolution's `weights` (outputs, inputs, height, width), and a caption for it.

    Kernels with three inputs are drawn in colour, taken as blue, green, red; otherwise each input is drawn in grey.
    Only the first 1,024 are shown. Raises DataError for weights of other shapes.
    """
    if weights.ndim != 4 or not weights.size:
        raise DataError(f"weights of shape {list(weights.shape)} are not filters, which have four axes.")
    outputs, inputs, height, width = weights.shape
    coloured = inputs == 3
    kernels = weights if coloured else weights.reshape(outputs * inputs, 1, height, width)
    captions = [str(i) if coloured or inputs == 1 else f"{i // inputs}/{i % inputs}" for i in range(len(kernels))]
    number = f"{min(len(kernels), MOST):,} of {len(kernels):,}" if len(kernels) > MOST else f"{len(kernels):,}"
    return contact_sheet(list(kernels[:MOST]), captions[:MOST]), f"{number} filters of {height}×{width}"


def features(
    model: Path, weights: Path, picture: Path, blob: str, mean: tuple[float, ...] = (), scale: float = 1
) -> tuple[ContactSheet, str]:
    """A sheet of the feature maps at `blob` of the net `model` with these weights, in grey, and a caption for it.

    The picture is stretched to the net's input size, in blue, green, red from 0 to 255. Then `mean` is subtracted, one
    value for all channels or one for each, and the result multiplied by `scale`. Raises EngineError.
    """
    from engine.python.caffe.net import Net  # noqa: PLC0415  JAX

    net = Net(str(model), TEST, weights=str(weights))
    shape = net.blobs[net.inputs[0]].shape if len(net.inputs) == 1 else ()
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise NetError(
            f"{model}: it must have a single input, for pictures of 1 or 3 channels; is it the deploy.prototxt?"
        )
    if blob not in net.blobs:
        raise NetError(f'{model}: has no blob "{blob}"; it has {", ".join(net.blobs)}.')
    if len(mean) not in (0, 1, shape[1]):
        raise NetError(f"{len(mean)} means for {shape[1]} channels: give one, or one for each.")
    try:
        pixels = read_picture(picture, Colour.COLOUR if shape[1] == 3 else Colour.GREY, (shape[2], shape[3]))
    except DataError as e:
        raise DataError(f"{picture}: {e}.") from e
    shifted = pixels.astype(np.float32) - np.array(mean or (0,), np.float32)[:, None, None]
    net.blobs[net.inputs[0]].reshape(1, *shape[1:])
    net.blobs[net.inputs[0]].data[...] = shifted * np.float32(scale)
    net.forward()
    maps = net.blobs[blob].data
    if maps.ndim != 4:
        raise DataError(f'blob "{blob}" of shape {list(maps.shape)} holds no feature maps, which have four axes.')
    planes = maps[0, :MOST, None]
    sheet = contact_sheet(list(planes), [str(i) for i in range(len(planes))])
    return sheet, f"{len(planes):,} of {maps.shape[1]:,} maps of {maps.shape[2]}×{maps.shape[3]}"
