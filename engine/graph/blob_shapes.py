"""Computes the shapes of a graph's blobs and parameters without JAX, so that they are known before a job is sent.

The layers of most nets are known here. The tops of other layers, and whatever depends on them, are left out: what is
returned is correct, but may be incomplete. The layers themselves know more, and check more: `engine.layers`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from engine.graph import (
    counts,
    dense_blocks,
    detections,
    fits,
    new_shapes,
    normalized,
    param_shapes,
    parts,
    predictions,
    priors,
    random_fields,
    recurrences,
    regions,
    resized,
    same_shape,
    windows,
)
from engine.graph.graph import Graph, Node, Value
from engine.graph.param_shapes import Params

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sizes:
    """blobs: the known shapes, by version of a blob. params: for each layer with parameters of known shapes, their
    names and shapes. own: the shape of each parameter, with shared ones counted once. unknown: the first layer of each
    type whose shapes cannot be computed here."""

    blobs: dict[Value, Shape] = field(default_factory=dict)
    params: dict[str, Params] = field(default_factory=dict)
    own: list[Shape] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)


class LayerShapes(NamedTuple):
    """The shapes of a layer's tops, and its parameters."""

    tops: Sequence[Shape]
    params: Params


def sizes(graph: Graph, sources: Mapping[int, Sequence[Shape]]) -> Sizes:
    """Computes what follows from the shapes of the tops of `sources`, by the sources' index in the graph, since several
    may have one name, or none.

    Raises LayerError for axes that do not exist, for windows that do not fit or are given in two ways, and for whatever
    `counts`, `fits` and the modules beside them refuse.
    """
    counts.check(graph)
    known = Sizes()
    declared: dict[int, Params] = {}
    for i, node in enumerate(graph.nodes):
        bottoms = [known.blobs[v] for v in node.bottoms if v in known.blobs]
        if len(bottoms) < len(node.bottoms):
            continue
        shapes = _layer_shapes(node, bottoms, sources.get(i))
        if shapes is None:
            known.unknown.setdefault(node.config.type, node.name)
            continue
        tops, params = shapes
        if node.bottoms:
            fits.top_count(node, len(tops), counts.named_tops(node))
        fits.loss_weights(node, counts.named_tops(node))
        known.blobs.update(zip(node.tops, tops, strict=False))
        fits.param_blocks(node, len(params))
        declared[i] = params
        _check_shared(graph, i, declared)
        if params:
            known.params[node.name] = params
            known.own.extend(shape for j, (_, shape) in enumerate(params) if j not in node.owners)
    return known


def _check_shared(graph: Graph, i: int, declared: Mapping[int, Params]) -> None:
    """Raises LayerError if layer `i` gives a shared parameter another shape than the layer that owns it.

    declared: the parameters of the layers so far, by their index in the graph.
    """
    node = graph.nodes[i]
    for j, (owner, index) in node.owners.items():
        if index < len(declared.get(owner, ())):
            name, shape = declared[i][j]
            fits.shared(node, j, name, shape, graph.nodes[owner].name, declared[owner][index][1])


def _layer_shapes(node: Node, bottoms: Sequence[Shape], source: Sequence[Shape] | None) -> LayerShapes | None:
    """The tops and parameters of a layer with such bottoms; None if unknown. `source`: the tops of a layer without
    bottoms."""
    if bottoms and node.config.type in param_shapes.CONVOLUTIONS:
        return _convolved(node, bottoms)
    tops = _tops(node, bottoms) if node.bottoms else source
    return None if tops is None else LayerShapes(tops, param_shapes.of(node, bottoms))


def _tops(node: Node, bottoms: Sequence[Shape]) -> list[Shape] | None:
    kind, x = node.config.type, bottoms[0]
    if kind in same_shape.TYPES:
        same_shape.check(node, x)
        return [x] * len(node.tops)
    if kind in OF_ALL:
        return OF_ALL[kind](node, bottoms)
    if kind in OF_ONE and len(bottoms) == 1:
        return OF_ONE[kind](node, x)
    return [] if kind in ("Silence", "HDF5Output") else None


def _convolved(node: Node, bottoms: Sequence[Shape]) -> LayerShapes:
    p, x = node.config.convolution_param, fits.alike(node, bottoms)
    axis = node.canonical_axis(p.axis, x)
    spatial = x[axis + 1 :]
    window = windows.of_convolution(node, p, len(spatial))
    padded = windows.padded(node, p, spatial)
    kernels = param_shapes.kernels(node, p, x[axis], window.kernel)
    params = param_shapes.weighted(node, p, kernels.weight, kernels.outputs)
    if node.config.type == "Deconvolution":
        outputs = windows.deconvolved(node, p, window, spatial)
    else:
        outputs = windows.fitting_outputs(node, window, padded)
    return LayerShapes([(*x[:axis], kernels.outputs, *outputs)] * len(bottoms), params)


def _pooled(node: Node, x: Shape) -> list[Shape]:
    return [(*x[:2], *windows.of_pooling(node, x).outputs)] * len(node.tops)


def _inner_product(node: Node, x: Shape) -> list[Shape]:
    p = node.config.inner_product_param
    return [(*x[: node.canonical_axis(p.axis, x)], p.num_output)]


def _sliced(node: Node, x: Shape) -> list[Shape]:
    return fits.cut(node, x)[2]


def _labelled(node: Node, bottoms: Sequence[Shape]) -> list[Shape]:
    """The tops of a layer that compares each prediction with a label: the result, and further tops by class or
    prediction if it has them."""
    config, (x, labels) = node.config, bottoms[:2]
    if config.type == "Accuracy":
        p = config.accuracy_param
        number = predictions.classes(node, x, labels, p.axis).number
        predictions.top_k(node, p.top_k, number)
        return [(), (number,)][: len(config.top)]
    predictions.same_items(node, (x, labels))
    axis = config.infogain_loss_param.axis if config.type == "InfogainLoss" else config.softmax_param.axis
    predictions.classes(node, x, labels, axis)
    return [(), x, labels][: max(1, len(config.top))]


def _labelled_rows(node: Node, bottoms: Sequence[Shape]) -> list[Shape]:
    x, labels = bottoms
    predictions.same_items(node, bottoms)
    predictions.classes(node, (x[0], prod(x[1:])), labels, 1)
    return [()]


def _cropped(node: Node, bottoms: Sequence[Shape]) -> list[Shape]:
    start, stop = parts.cropped(node, *bottoms)
    return [tuple(b - a for a, b in zip(start, stop, strict=True))]


def _upsampled(node: Node, bottoms: Sequence[Shape]) -> list[Shape]:
    x = bottoms[0]
    if len(bottoms) == 2:
        return [(*x[:2], *resized.masked(node, x, bottoms[1]))]
    scale = resized.repetitions(node, x)
    return [(*x[:2], x[2] * scale, x[3] * scale)]


def _detected(node: Node, bottoms: Sequence[Shape]) -> list[Shape]:
    """A DetectionOutput's top, with one row: there are as many as detections, but at least one."""
    detections.found(node, *bottoms)
    return [(1, 1, 1, 3 + detections.values(node))]


def _learned_boxes(node: Node, bottoms: Sequence[Shape]) -> list[Shape]:
    detections.learned(node, *bottoms)
    return [()]


def _paired(node: Node, bottoms: Sequence[Shape]) -> list[Shape]:
    predictions.pair(node, bottoms[0], bottoms[1])
    return [()]


OF_ALL: Mapping[str, Callable[[Node, Sequence[Shape]], list[Shape]]] = {
    **dict.fromkeys(("SoftmaxWithLoss", "WeightedSoftmaxWithLoss", "InfogainLoss", "Accuracy"), _labelled),
    **dict.fromkeys(("HingeLoss", "MultinomialLogisticLoss"), _labelled_rows),
    **dict.fromkeys(("EuclideanLoss", "SigmoidCrossEntropyLoss", "MultiLabelLoss"), _paired),
    **dict.fromkeys(("ROIPooling", "ROIAlign"), lambda node, bottoms: [regions.pooled(node, *bottoms)]),
    **dict.fromkeys(("PriorBox", "PriorBoxClustered"), lambda node, bottoms: [priors.shape(node, *bottoms)]),
    **dict.fromkeys(("RNN", "LSTM"), lambda node, bottoms: recurrences.unrolled(node, bottoms).tops),
    **dict.fromkeys(("EntropyLoss", "MMDLoss", "JMMDLoss"), lambda node, bottoms: [()]),
    "Warp": lambda node, bottoms: [bottoms[0]],
    "GradientScaler": lambda node, bottoms: list(bottoms),
    "Axpy": lambda node, bottoms: [fits.added(node, *bottoms)],
    "BatchReindex": lambda node, bottoms: [parts.reindexed(node, *bottoms)],
    "ContrastiveLoss": lambda node, bottoms: [()],
    "Crop": _cropped,
    "DetectionOutput": _detected,
    "MaskPooling": lambda node, bottoms: [regions.masked(node, *bottoms)],
    "ROIWarping": lambda node, bottoms: [regions.warped(node, *bottoms)],
    "MultiBoxFocalLoss": _learned_boxes,
    "MultiBoxLoss": _learned_boxes,
    "LSTMUnit": lambda node, bottoms: recurrences.unit(node, *bottoms),
    "PSROIPooling": lambda node, bottoms: [regions.position_sensitive(node, *bottoms)],
    "DenseCRF": lambda node, bottoms: [random_fields.dense_crf(node, *bottoms)],
    "MultiStageMeanfield": lambda node, bottoms: [random_fields.mean_field(node, *bottoms)],
    "Upsample": _upsampled,
    "Eltwise": lambda node, bottoms: [fits.combined(node, bottoms)],
    "Concat": lambda node, bottoms: [fits.joined(node, bottoms)[1]],
}
"""Functions for the shapes of the tops of layers with any number of bottoms, by type."""

OF_ONE: Mapping[str, Callable[[Node, Shape], list[Shape]]] = {
    **dict.fromkeys(("Pooling", "PoolingND"), _pooled),
    "InnerProduct": _inner_product,
    "Slice": _sliced,
    **dict.fromkeys(
        ("Permute", "Transpose", "TensorTranspose"), lambda node, x: [tuple(x[i] for i in new_shapes.permuted(node, x))]
    ),
    "ArgMax": lambda node, x: [parts.largest(node, x).shape],
    "BN": normalized.by_batch,
    "ChannelNorm": lambda node, x: [parts.normed(node, x)],
    "DenseBlock": lambda node, x: [dense_blocks.top(node, x)],
    "Embed": lambda node, x: [(*x, parts.embedded(node)[1])],
    "Interp": lambda node, x: [(*x[:2], *resized.interpolated(node, x).outputs)],
    "MaskResize": lambda node, x: [regions.resized(node, x)],
    **dict.fromkeys(("L2Norm", "L2Normalize"), lambda node, x: [normalized.of_unit_length(node, x)]),
    **dict.fromkeys(("ExpMax", "NegSquare", "Noise", "Normalization", "NormalizationL2"), lambda node, x: [x]),
    "Padding": lambda node, x: [resized.padded(node, x)],
    "Resize": lambda node, x: [resized.rescaled(node, x)],
    "MVN": lambda node, x: [normalized.of_four_axes(x)],
    "Normalize": normalized.to_length,
    "Reduction": lambda node, x: [x[: parts.reduced(node, x)]],
    "Reorg": lambda node, x: [resized.reorganized(node, x)],
    "Squeeze": lambda node, x: [new_shapes.squeezed(node, x)],
    "Tile": lambda node, x: [new_shapes.tiled(node, x)[1]],
    "Flatten": lambda node, x: [new_shapes.flattened(node, x)],
    "Reshape": lambda node, x: [new_shapes.reshaped(node, x)],
}
"""Functions for the shapes of the tops of layers with one bottom, by type."""
