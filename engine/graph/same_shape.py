"""Layers whose tops have the shape of their first bottom: checks of their settings and of that shape, without JAX."""

from collections.abc import Callable, Mapping

from engine.graph import fits, normalized
from engine.graph.graph import Node
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]

TYPES = frozenset(
    {
        *("ReLU", "ReLU6", "NegReLU", "PReLU", "ELU", "SeLu", "Sigmoid", "TanH", "Swish", "HardSwish", "Mish", "BNLL"),
        *("AbsVal", "Clip", "Exp", "Log", "Power", "Threshold", "Dropout", "SpatialDropout", "SeLuDropout", "Insanity"),
        *("BatchNorm", "Scale", "Bias", "LRN", "Softmax", "Split", "ShuffleChannel"),
        *("Flip", "Reverse"),
    }
)
"""The types of these layers that are known here."""


def check(node: Node, x: Shape) -> None:
    """Raises LayerError if the settings of a layer are invalid, or do not fit a bottom of this shape."""
    if node.config.type in CHECKS:
        CHECKS[node.config.type](node, x)


def _not_in_place(node: Node, x: Shape) -> None:
    fits.not_in_place(node)


def _dropout(node: Node, x: Shape) -> None:
    p = node.config.dropout_param
    ratio, draws = p.dropout_ratio, node.config.phase == pb.TRAIN or p.sample_weights_test
    if draws and not 0 <= ratio < 1:
        raise node.error(f"dropout_ratio {ratio:g} is not a probability from 0 to below 1.")


def _spatial_dropout(node: Node, x: Shape) -> None:
    fits.channels(node, x)
    _dropout(node, x)


def _lrn(node: Node, x: Shape) -> None:
    if len(x) != 4:
        raise node.error(f"{node.bottom(0)} has shape {list(x)}; LRN takes 4 axes: num, channels, height, width.")
    if node.config.lrn_param.local_size % 2 == 0:
        raise node.error(f"local_size is {node.config.lrn_param.local_size}; it must be odd.")


def _batch_norm(node: Node, x: Shape) -> None:
    if normalized.of_nvidia(node.config.batch_norm_param):
        return
    for i, spec in enumerate(node.config.param):
        if spec.lr_mult:
            raise node.error(
                f"param {i} has lr_mult {spec.lr_mult:g}, but it is a running average and not learned; "
                "give it lr_mult: 0, or no param at all."
            )
    if not x:
        raise node.error(f"{node.bottom(0)} is a scalar; 1 axis or more is needed.")


def _clip(node: Node, x: Shape) -> None:
    p = node.config.clip_param
    if not (p.HasField("min") and p.HasField("max")):
        raise node.error("clip_param needs min and max.")


def _shuffle(node: Node, x: Shape) -> None:
    group = node.config.shuffle_channel_param.group
    fits.channels(node, x)
    if not group or x[1] % group:
        raise node.error(f"the {x[1]} channels of {node.bottom(0)} cannot be split into group: {group}.")


def _reverse(node: Node, x: Shape) -> None:
    node.canonical_axis(node.config.reverse_param.axis, x)


def _softmax(node: Node, x: Shape) -> None:
    node.canonical_axis(node.config.softmax_param.axis, x)


CHECKS: Mapping[str, Callable[[Node, Shape], object]] = {
    "AbsVal": _not_in_place,
    "BatchNorm": _batch_norm,
    "Clip": _clip,
    "Dropout": _dropout,
    "Flip": fits.planes,
    "LRN": _lrn,
    "PReLU": fits.channels,
    "Reverse": _reverse,
    "ShuffleChannel": _shuffle,
    "Softmax": _softmax,
    "Split": _not_in_place,
    "SpatialDropout": _spatial_dropout,
}
"""The checks, for types that have any."""
