"""`caffe.coord_map`: maps the coordinates of one top to those of another, and builds the Crop that aligns the two.

A map (axis, scale, shift) takes coordinate x of a layer's bottom to coordinate scale · x + shift of its top, on `axis`
and the axes after it; axis None means that the map is the same whatever the axis. scale and shift are numbers, or
arrays with one number per axis.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.errors import NetError

from .net_spec import Function, Top, layers

Map = tuple[int | None, Any, Any]

IDENTITY: Map = (None, 1, 0)

PASS_THROUGH_LAYERS = [
    *("AbsVal", "BNLL", "BatchNorm", "Bias", "Clip", "Dropout", "ELU", "Eltwise", "Exp", "LRN", "Log", "MVN", "PReLU"),
    *("Power", "ReLU", "Scale", "Sigmoid", "Softmax", "Split", "Swish", "TanH", "Threshold"),
]
"""Layer types that leave every value at its coordinates."""

LEGACY = {f"{name}_{axis}" for name in ("kernel", "pad", "stride") for axis in "hw"}


class UndefinedMapException(NetError):
    """A layer without a coordinate map from its bottom to its top, such as an InnerProduct."""


class AxisMismatchException(NetError):
    """Maps of different axes, which cannot be composed."""


class CropError(NetError, AssertionError):
    """Tops that no Crop can align. Also an AssertionError, which programs written for pycaffe catch."""


def conv_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """The axis, stride, dilated kernel size and pad of a Convolution, Deconvolution, Pooling or Im2col.

    Raises CropError if the layer has a kernel_h, stride_w, …, and UndefinedMapException if it has no kernel_size.
    """
    own = "pooling_param" if fn.type_name == "Pooling" else "convolution_param"
    fields: Mapping[str, Any] = fn.params.get(own, fn.params)
    if legacy := sorted(LEGACY & {*fields, *fn.params}):
        raise CropError(f"{fn.type_name} with {', '.join(legacy)}: crop needs lists instead: kernel_size=[h, w].")
    if "kernel_size" not in fields:
        raise UndefinedMapException(f"{fn.type_name} without a kernel_size has no coordinate map.")
    kernel, dilation, stride, pad = (
        np.array(fields.get(name, default), ndmin=1)
        for name, default in (("kernel_size", 1), ("dilation", 1), ("stride", 1), ("pad", 0))
    )
    return fields.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, np.ndarray]:
    """The axis (2 by default) and the offset of a Crop."""
    fields = fn.params.get("crop_param", fn.params)
    return fields.get("axis", 2), np.array(fields.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> Map:
    """The map from a layer's bottom to its top. Raises UndefinedMapException if there is none."""
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset
    if fn.type_name not in ("Convolution", "Deconvolution", "Im2col", "Pooling"):
        raise UndefinedMapException(f"a layer of type {fn.type_name} has no coordinate map.")
    axis, stride, kernel, pad = conv_params(fn)
    if fn.type_name == "Deconvolution":
        return axis, stride, (kernel - 1) / 2 - pad
    return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride


def compose(base_map: Map, next_map: Map) -> Map:
    """The map x ↦ base(next(x)). Raises AxisMismatchException."""
    (axis, scale, shift), (next_axis, next_scale, next_shift) = base_map, next_map
    if axis is not None and next_axis is not None and axis != next_axis:
        raise AxisMismatchException(f"a map that starts at axis {axis} cannot be composed with one at {next_axis}.")
    return next_axis if axis is None else axis, scale * next_scale, scale * next_shift + shift


def inverse(coord_map: Map) -> Map:
    """The map from the top back to the bottom."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from the coordinates of `top_from` to those of `top_to`, through a blob that both are computed from.

    Raises NetError if there is no such blob to which coordinate maps lead.
    """
    to_from = _maps_below(top_from)
    for blob, to_to in _maps_below(top_to).items():
        if blob in to_from:
            return compose(to_to, inverse(to_from[blob]))
    raise NetError(
        "found no blob from which both tops are computed. Are they connected by layers with coordinate maps "
        "(convolution, pooling, …)?"
    )


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that crops `top_from` to the region of `top_to` in it, with the axis and offset needed.

    Raises CropError if the scales differ, or the offset is negative or not an integer.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    if axis is None:
        axis = 1  # no layer between the two moves a value: rows and columns are cropped from 0
    scale, shift = np.atleast_1d(scale), np.atleast_1d(shift)
    if (scale != 1).any():
        raise CropError(f"scale mismatch on crop (a = {scale}): the tops have different strides.")
    if (shift > 0).any():
        raise CropError(f"cannot crop negative offset (b = {shift}): the top to be cropped is the smaller one.")
    if (np.round(shift) != shift).any():
        raise CropError(f"cannot crop noninteger offset (b = {shift}).")
    return layers.Crop(top_from, top_to, crop_param={"axis": axis + 1, "offset": [int(-b) for b in shift]})


def _maps_below(top: Top) -> dict[Top, Map]:
    """For `top` and each blob it is computed from by layers with maps, nearest first: the blob's map to `top`."""
    maps: dict[Top, Map] = {top: IDENTITY}
    queue = deque([top])
    while queue:
        current = queue.popleft()
        # A Crop's second bottom determines only the size.
        bottoms = current.fn.inputs[:1] if current.fn.type_name == "Crop" else current.fn.inputs
        try:
            step = coord_map(current.fn) if bottoms else IDENTITY
        except UndefinedMapException:
            continue
        for bottom in bottoms:
            if bottom not in maps:
                maps[bottom] = compose(maps[current], step)
                queue.append(bottom)
    return maps
