"""How large the blobs and parameters of a graph are, told without JAX: for who asks before a job is sent.

The layers of most nets are known here. Of others nothing is told, nor of what lies behind them: what is told is true,
and may be less than all. The layers themselves say more, and check more: `engine.layers`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from engine.graph import fits, windows
from engine.graph.graph import Graph, Node, Value
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]

SAME = frozenset(
    {
        *("ReLU", "ReLU6", "PReLU", "ELU", "Sigmoid", "TanH", "Swish", "Mish", "BNLL", "AbsVal", "Clip", "Exp", "Log"),
        *("Power", "Threshold", "Dropout", "SpatialDropout", "BatchNorm", "Scale", "Bias", "LRN", "MVN", "Softmax"),
        *("Split", "ShuffleChannel", "Flip"),
    }
)
"""Layers whose tops are all of their first bottom's shape."""

SCALAR = frozenset(
    {
        *("SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "EuclideanLoss", "HingeLoss", "MultinomialLogisticLoss"),
        *("InfogainLoss", "ContrastiveLoss", "Accuracy"),
    }
)
"""Layers whose first top is one number."""

CONVOLUTIONS = frozenset({"Convolution", "DepthwiseConvolution", "ConvolutionDepthwise", "Deconvolution"})


@dataclass(frozen=True)
class Sizes:
    """blobs: the shape of every version of a blob that is known. params: of layers with parameters of known
    shapes, what each is called and its shape. unknown: the first layer of each type of which nothing can be told."""

    blobs: dict[Value, Shape] = field(default_factory=dict)
    params: dict[str, list[tuple[str, Shape]]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


def sizes(graph: Graph, sources: Mapping[str, Sequence[Shape]]) -> Sizes:
    """What is known by the shapes of sources' tops, by the sources' names. Raises LayerError for axes that there
    are not, for windows that do not fit or are told of in two ways, and for what `fits` refuses."""
    known = Sizes()
    for node in graph.nodes:
        bottoms = [known.blobs[v] for v in node.bottoms if v in known.blobs]
        if len(bottoms) < len(node.bottoms):
            continue
        tops = sources.get(node.name) if not node.bottoms else _tops(node, bottoms)
        if tops is None:
            known.unknown.setdefault(node.config.type, node.name)
            continue
        known.blobs.update(zip(node.tops, tops, strict=False))
        params = _params(node, bottoms)
        if params:
            known.params[node.name] = params
    return known


def given(config: pb.LayerParameter) -> list[Shape] | None:
    """The shapes of the tops of a source that says them itself; None for others."""
    shapes: list[Shape]
    if config.type == "Input":
        shapes = [tuple(s.dim) for s in config.input_param.shape]
    elif config.type == "DummyData":
        p = config.dummy_data_param
        shapes = [tuple(s.dim) for s in p.shape]
        shapes += zip(p.num, p.channels, p.height, p.width, strict=False)
    elif config.type == "MemoryData":
        m = config.memory_data_param
        shapes = [(m.batch_size, m.channels, m.height, m.width), (m.batch_size,)]
    else:
        return None
    return shapes * len(config.top) if len(shapes) == 1 else shapes


def _tops(node: Node, bottoms: Sequence[Shape]) -> list[Shape] | None:
    kind, x = node.config.type, bottoms[0]
    if kind in SAME:
        return [x] * len(node.tops)
    if kind in SCALAR:
        return [()]
    if kind in OF_ALL:
        return OF_ALL[kind](node, bottoms)
    if kind in OF_ONE and len(bottoms) == 1:
        return OF_ONE[kind](node, x)
    return [] if kind in ("Silence", "HDF5Output") else None


def _convolved(node: Node, bottoms: Sequence[Shape]) -> list[Shape]:
    p = node.config.convolution_param
    axis = node.canonical_axis(p.axis, bottoms[0])
    lead, spatial = bottoms[0][:axis], bottoms[0][axis + 1 :]
    window = windows.of_convolution(node, p, len(spatial))
    transposed = node.config.type == "Deconvolution"
    outputs = window.inputs(spatial) if transposed else windows.fitting_outputs(node, window, spatial)
    return [(*lead, _outputs(node, bottoms[0][axis]), *outputs)] * len(bottoms)


def _outputs(node: Node, channels: int) -> int:
    return channels if node.config.type == "ConvolutionDepthwise" else node.config.convolution_param.num_output


def _pooled(node: Node, x: Shape) -> list[Shape]:
    return [(*x[:2], *windows.of_pooling(node, x).outputs)] * len(node.tops)


def _inner_product(node: Node, x: Shape) -> list[Shape]:
    p = node.config.inner_product_param
    return [(*x[: node.canonical_axis(p.axis, x)], p.num_output)]


def _sliced(node: Node, x: Shape) -> list[Shape]:
    return fits.cut(node, x)[2]


def _flattened(node: Node, x: Shape) -> list[Shape]:
    p = node.config.flatten_param
    first, last = node.canonical_axis(p.axis, x), node.canonical_axis(p.end_axis, x, "end_axis")
    return [(*x[:first], prod(x[first : last + 1]), *x[last + 1 :])]


OF_ALL: Mapping[str, Callable[[Node, Sequence[Shape]], list[Shape]]] = {
    **dict.fromkeys(CONVOLUTIONS, _convolved),
    "Eltwise": lambda node, bottoms: [fits.alike(node, bottoms)],
    "Concat": lambda node, bottoms: [fits.joined(node, bottoms)[1]],
}
"""Layers of any number of bottoms, each with what makes its tops' shapes."""

OF_ONE: Mapping[str, Callable[[Node, Shape], list[Shape]]] = {
    "Pooling": _pooled,
    "InnerProduct": _inner_product,
    "Slice": _sliced,
    "Flatten": _flattened,
}
"""Layers of one bottom, each with what makes its tops' shapes."""


def _params(node: Node, bottoms: Sequence[Shape]) -> list[tuple[str, Shape]]:
    config = node.config
    if config.type in CONVOLUTIONS:
        p = config.convolution_param
        outputs = fits.outputs(node, "convolution_param", _outputs(node, _channels(node, bottoms[0])))
        return _weighted(node, p, _kernels(node, bottoms[0]), outputs)
    if config.type == "InnerProduct":
        q, x = config.inner_product_param, bottoms[0]
        features = prod(x[node.canonical_axis(q.axis, x) :])
        outputs = fits.outputs(node, "inner_product_param", q.num_output)
        return _weighted(node, q, (features, outputs) if q.transpose else (outputs, features), outputs)
    if config.type == "BatchNorm" and not of_nvidia(config.batch_norm_param):
        channels = bottoms[0][1:2] or (1,)
        return [("mean", channels), ("variance", channels), ("number of terms", (1,))]
    if config.type == "PReLU":
        return [("slope", () if config.prelu_param.channel_shared else bottoms[0][1:2])]
    if config.type == "Scale" and len(bottoms) == 1:
        s, x = config.scale_param, bottoms[0]
        first = node.canonical_axis(s.axis, x) if s.num_axes else 0
        shape = x[first:] if s.num_axes == -1 else x[first : first + s.num_axes]
        return [("scale", shape), ("bias", shape)][: 1 + s.bias_term]
    return []


def _weighted(
    node: Node, p: pb.ConvolutionParameter | pb.InnerProductParameter, weight: Shape, outputs: int
) -> list[tuple[str, Shape]]:
    fits.filler(node, p.weight_filler, weight)
    if p.bias_term:
        fits.filler(node, p.bias_filler, (outputs,))
    return [("weight", weight), ("bias", (outputs,))][: 1 + p.bias_term]


def of_nvidia(p: pb.BatchNormParameter) -> bool:
    """Whether a BatchNorm is NVIDIA's layer of that name, which has other parameters."""
    return p.scale_bias or p.HasField("scale_filler") or p.HasField("bias_filler")


def _channels(node: Node, x: Shape) -> int:
    return x[node.canonical_axis(node.config.convolution_param.axis, x)]


def _kernels(node: Node, x: Shape) -> Shape:
    p, channels = node.config.convolution_param, _channels(node, x)
    outputs = _outputs(node, channels)
    group = channels if node.config.type == "ConvolutionDepthwise" else p.group
    fits.groups(node, channels, outputs, group)
    outer, inner = (channels, outputs) if node.config.type == "Deconvolution" else (outputs, channels)
    kernel = windows.of_convolution(node, p, len(x) - node.canonical_axis(p.axis, x) - 1).kernel
    return (outer, inner // group, *kernel)
