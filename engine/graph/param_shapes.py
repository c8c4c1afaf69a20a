"""Computes the shapes of layers' parameters without JAX, for the layers that most nets consist of."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from engine.graph import dense_blocks, fits, normalized, parts, random_fields, recurrences
from engine.graph.graph import Node
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]

CONVOLUTIONS = frozenset({"Convolution", "DepthwiseConvolution", "ConvolutionDepthwise", "Deconvolution"})

Weighted = pb.ConvolutionParameter | pb.InnerProductParameter | pb.EmbedParameter

Params = list[tuple[str, Shape]]
"""The name and the shape of each of a layer's parameters."""


def of(node: Node, bottoms: Sequence[Shape]) -> Params:
    """The parameters of a layer, for bottoms of these shapes; empty for a type that is not in OF.

    Raises LayerError for settings that do not fit the bottoms.
    """
    return OF[node.config.type](node, bottoms) if node.config.type in OF else []


class Kernels(NamedTuple):
    """A convolution's number of outputs, its groups, and the shape of its weights: (outputs, channels / group,
    *kernel), with outputs and channels swapped for a deconvolution."""

    outputs: int
    group: int
    weight: Shape


def kernels(
    node: Node, p: pb.ConvolutionParameter | pb.DeformableConvolutionParameter, channels: int, kernel: Shape
) -> Kernels:
    """The weights that `p` asks for, for bottoms with so many channels. Raises LayerError if group does not fit."""
    depthwise = node.config.type == "ConvolutionDepthwise"
    outputs = fits.outputs(node, "convolution_param", channels if depthwise else p.num_output)
    group = fits.groups(node, channels, outputs, channels if depthwise else p.group)
    outer, inner = (channels, outputs) if node.config.type == "Deconvolution" else (outputs, channels)
    return Kernels(outputs, group, (outer, inner // group, *kernel))


def _inner_product(node: Node, bottoms: Sequence[Shape]) -> Params:
    p, x = node.config.inner_product_param, bottoms[0]
    features = prod(x[node.canonical_axis(p.axis, x) :])
    outputs = fits.outputs(node, "inner_product_param", p.num_output)
    return weighted(node, p, (features, outputs) if p.transpose else (outputs, features), outputs)


def weighted(node: Node, p: Weighted, weight: Shape, outputs: int) -> Params:
    """Weights of this shape, and with `bias_term` a bias per output. Raises LayerError for fillers that do not fit."""
    fits.filler(node, p.weight_filler, weight)
    if p.bias_term:
        fits.filler(node, p.bias_filler, (outputs,))
    return [("weight", weight), ("bias", (outputs,))][: 1 + p.bias_term]


def _embed(node: Node, bottoms: Sequence[Shape]) -> Params:
    weight = parts.embedded(node)
    return weighted(node, node.config.embed_param, weight, weight[1])


def _batch_norm(node: Node, bottoms: Sequence[Shape]) -> Params:
    if normalized.of_nvidia(node.config.batch_norm_param):
        return normalized.nvidia_params(node, bottoms[0])
    channels = bottoms[0][1:2] or (1,)
    return [("mean", channels), ("variance", channels), ("number of terms", (1,))]


def _slopes(node: Node, bottoms: Sequence[Shape]) -> Params:
    return [("slope", () if node.config.prelu_param.channel_shared else bottoms[0][1:2])]


def _scale(node: Node, bottoms: Sequence[Shape]) -> Params:
    p = node.config.scale_param
    _, shape = fits.place(node, "scale", bottoms, p.axis, p.num_axes)
    return [("scale", shape)][: len(bottoms) == 1] + [("bias", shape)][: p.bias_term]


def _bias(node: Node, bottoms: Sequence[Shape]) -> Params:
    p = node.config.bias_param
    return [("bias", fits.place(node, "bias", bottoms, p.axis, p.num_axes)[1])][: len(bottoms) == 1]


OF: Mapping[str, Callable[[Node, Sequence[Shape]], Params]] = {
    "InnerProduct": _inner_product,
    "BatchNorm": _batch_norm,
    "PReLU": _slopes,
    "Scale": _scale,
    "Bias": _bias,
    "Embed": _embed,
    "RNN": recurrences.params,
    "LSTM": recurrences.params,
    "MultiStageMeanfield": random_fields.mean_field_params,
    "DenseBlock": lambda node, bottoms: dense_blocks.params(node, bottoms[0]),
    "BN": lambda node, bottoms: normalized.by_batch_params(node, bottoms[0]),
    "Normalize": lambda node, bottoms: normalized.to_length_params(node, bottoms[0]),
}
"""Functions for the parameters of layers, by type. For convolutions `blob_shapes` computes them along with the tops."""
