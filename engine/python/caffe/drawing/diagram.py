"""The content of a net's drawing: layers and blobs as nodes, and edges from bottoms to layers to tops. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from engine.graph.build import filter_net
from engine.proto import caffe_pb2 as pb

BLUE, GREEN, GREY = "#6495ED", "#90EE90", "#E0E0E0"

COLOURS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
"""The colours of layers by type, as in BVLC's draw.py; other layers are blue, in-place layers green, blobs grey."""

LEARNING = ("Convolution", "Deconvolution", "InnerProduct")
"""The types whose learning rates are shown."""


@dataclass(frozen=True)
class Node:
    """A box for a layer, an octagon for a blob."""

    label: tuple[str, ...]
    colour: str
    is_blob: bool = False


@dataclass(frozen=True)
class Edge:
    """An edge between two nodes, by their keys. back: it points back, from an in-place layer to its blob."""

    source: str
    target: str
    label: str = ""
    back: bool = False


@dataclass(frozen=True)
class Diagram:
    """Nodes by key, edges in the order of the net."""

    name: str
    nodes: dict[str, Node]
    edges: tuple[Edge, ...]


def of_net(
    net: pb.NetParameter, phase: int | None = None, *, label_edges: bool = True, display_lrm: bool = False
) -> Diagram:
    """The diagram of a net's layers in `phase`, or of all its layers for None.

    Raises LayerError for a layer with both include and exclude rules.
    """
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for layer in net.layer if phase is None else filter_net(net, pb.NetState(phase=phase)).layer:  # type: ignore[arg-type]
        # A blob and a layer may have the same name, and layers of different phases often do.
        key = next(k for n in count() if (k := f"{layer.name}_{layer.type}" + f"_{n}" * bool(n)) not in nodes)
        in_place = len(layer.bottom) == 1 and [*layer.bottom] == [*layer.top]
        colour = GREEN if in_place else COLOURS.get(layer.type, BLUE)
        nodes[key] = Node(layer_label(layer, display_lrm), colour)
        for bottom in layer.bottom:
            nodes.setdefault(f"{bottom}_blob", Node((bottom,), GREY, is_blob=True))
            edges.append(Edge(f"{bottom}_blob", key))
        for top in layer.top:
            nodes.setdefault(f"{top}_blob", Node((top,), GREY, is_blob=True))
            label = edge_label(layer) if label_edges else ""
            edges.append(Edge(key, f"{top}_blob", label, back=top in layer.bottom))
    return Diagram(net.name or "Net", nodes, tuple(edges))


def layer_label(layer: pb.LayerParameter, display_lrm: bool = False) -> tuple[str, ...]:
    """The lines in a layer's box: name, type, kernel, stride and pad; with `display_lrm` learning rate multipliers."""
    lines = [layer.name, f"({layer.type})"]
    if layer.type == "Pooling":
        pooling = layer.pooling_param
        lines[1] = f"({layer.type} {pb.PoolingParameter.PoolMethod.Name(pooling.pool)})"
        lines += _window("global" if pooling.global_pooling else _sizes(pooling, "kernel", 0), pooling)
    elif layer.type in ("Convolution", "Deconvolution"):
        lines += _window(_sizes(layer.convolution_param, "kernel", 1), layer.convolution_param)
    if display_lrm and layer.type in LEARNING:
        weights, bias = learning_rates(layer)
        if weights or bias:
            lines.append(f"lr mult: {weights:.1f}, {bias:.1f}")
    return tuple(lines)


def edge_label(layer: pb.LayerParameter) -> str:
    """The label of an edge from a layer to its top: the number of outputs, or the batch size."""
    match layer.type:
        case "Data":
            return f"Batch {layer.data_param.batch_size}"
        case "Convolution" | "Deconvolution":
            return str(layer.convolution_param.num_output)
        case "InnerProduct":
            return str(layer.inner_product_param.num_output)
    return ""


def learning_rates(layer: pb.LayerParameter) -> tuple[float, float]:
    """The multipliers of the weights' and the bias's learning rates."""
    multipliers = [spec.lr_mult for spec in layer.param[:2]]
    weights, bias = (*multipliers, *[1.0] * (2 - len(multipliers)))
    return weights, bias


def _window(kernel: str, config: pb.ConvolutionParameter | pb.PoolingParameter) -> list[str]:
    return [f"kernel size: {kernel}", f"stride: {_sizes(config, 'stride', 1)}", f"pad: {_sizes(config, 'pad', 0)}"]


def _sizes(config: pb.ConvolutionParameter | pb.PoolingParameter, name: str, default: int) -> str:
    """`3`, or `3x5` if the axes have different sizes, given as kernel_h and kernel_w or as a list."""
    fields = {field.name: value for field, value in config.ListFields()}
    if by_axis := [fields[axis] for axis in (f"{name}_h", f"{name}_w") if axis in fields]:
        return "x".join(map(str, by_axis))
    value = getattr(config, "kernel_size" if name == "kernel" else name)
    sizes = list(value) or [default] if isinstance(value, Iterable) else [value]
    return "x".join(map(str, sizes if len(set(sizes)) > 1 else sizes[:1]))
