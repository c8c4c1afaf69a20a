"""Describes a net for programs without Caffe: what its layers compute and how much work they are, as JSON values."""

from math import prod
from typing import Any

from engine.net import Net
from engine.proto import caffe_pb2 as pb

PRODUCTS = ("Convolution", "DepthwiseConvolution", "InnerProduct")


def plan(net: Net) -> dict[str, Any]:
    """The net's layers in order, each with bottoms, tops and parameters by number; the shapes; and the parameters."""
    number = {value: k for k, value in enumerate(net.shapes)}
    layers = [
        {
            "name": layer.name,
            "type": layer.type,
            "bottoms": [number[value] for value in node.bottoms],
            "tops": [number[value] for value in tops],
            "params": ids,
            **options(layer),
            **work(net, i),
        }
        for i, (layer, node, tops, ids) in enumerate(
            zip(net.layers, net.graph.nodes, net.tops, net.param_ids, strict=True)
        )
    ]
    params = [{"shape": p.shape, "learned": p.learned} for p in net.params]
    return {"layers": layers, "shapes": list(net.shapes.values()), "params": params}


def options(layer: Any) -> dict[str, Any]:
    """The settings, besides shapes, that determine what a layer computes."""
    kind = layer.type
    if kind in ("Convolution", "DepthwiseConvolution"):
        window = layer.window
        return {"stride": window.stride, "pad": window.pad, "dilation": window.dilation, "group": layer.group}
    if kind == "Pooling":
        axes = {name: [getattr(span, name) for span in layer.spans] for name in ("kernel", "stride", "pad")}
        return {"maximum": layer.method == pb.PoolingParameter.MAX, **axes}
    if kind == "LRN":
        return {"across": layer.across, "size": layer.size, "alpha": layer.alpha, "beta": layer.beta, "k": layer.k}
    if kind == "BatchNorm":
        return {"eps": layer.eps}
    if kind == "Concat":
        return {"axis": layer.axis}
    return {"ratio": layer.ratio} if kind == "Dropout" else {}


def work(net: Net, i: int) -> dict[str, float]:
    """flops: those of layer i's forward pass, 2 per multiply-add, or 0 if it is not a product. bytes: the least that it
    must read and write."""
    values = [net.shapes[value] for value in (*net.graph.nodes[i].bottoms, *net.tops[i])]
    weights = [net.params[k].shape for k in net.param_ids[i]]
    product = net.layers[i].type in PRODUCTS
    flops = 2 * prod(net.shapes[net.tops[i][0]]) * prod(weights[0][1:]) if product else 0
    return {"flops": flops, "bytes": 4 * sum(map(prod, (*values, *weights)))}


def flops(layers: list[dict[str, Any]], train: bool) -> float:
    """The FLOPs of a forward pass or, with `train`, of a training step: three times as many, but only twice for the
    first product, whose input needs no gradient."""
    every = [layer["flops"] for layer in layers if layer["flops"]]
    return float(3 * sum(every) - every[0] if train else sum(every))
