"""Reads a net's parameters from models and writes them to models, layer by layer, by name."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.errors import SnapshotError
from engine.graph import model_fit
from engine.layers.base import Layer, ParamDecl, Shape
from engine.net import parameters
from engine.net.net import Net
from engine.proto import binary
from engine.proto import caffe_pb2 as pb
from engine.proto.layer_names import BVLC


def load_blobs(
    net: Net, params: Sequence[Any], blobs: Mapping[str, Sequence[np.ndarray]], source: str = ""
) -> list[Any]:
    """`params` with those of the layers named in `blobs` replaced, as Caffe's CopyTrainedLayersFrom does.

    Layers that only one side has are skipped. A parameter that was cut to another shape takes values of that shape.
    Raises SnapshotError, which names `source`, if counts or shapes differ.
    """
    return _replaced(net, params, {name: [row] * len(net.layers) for name, row in blobs.items()}, source)


def _replaced(
    net: Net, params: Sequence[Any], blobs: Mapping[str, Sequence[Sequence[np.ndarray]]], source: str
) -> list[Any]:
    """`load_blobs` for models that may have several layers of one name: the n-th here takes the n-th there."""
    out = list(params)
    counts: Counter[str] = Counter()
    for layer, ids in zip(net.layers, net.param_ids, strict=True):
        rows, number = blobs.get(layer.name, ()), counts[layer.name]
        counts[layer.name] += 1
        if number >= len(rows) or not compared(net, layer):
            continue
        arrays = layer.fitted(rows[number])
        expected = [(decl.name, _shape(net, k, decl, params[k])) for k, decl in zip(ids, layer.params, strict=True)]
        if complaint := model_fit.complaint(layer.name, [value.shape for value in arrays], expected):
            raise SnapshotError(f"{source}: {complaint}")
        for k, value in zip(ids, parameters.ordered(arrays, expected), strict=True):
            out[k] = np.asarray(value, np.float32).reshape(np.shape(params[k]) or net.params[k].shape)
    return out


def compared(net: Net, layer: Layer) -> bool:
    """Whether a model must have as many arrays for a layer as the layer has parameters. A layer without parameters may
    have arrays there if its type is a fork's, which keeps what isn't needed here, or if another layer of the same name
    has parameters."""
    others = any(other.params for other in net.layers if other.name == layer.name)
    return bool(layer.params) or (layer.config.type in BVLC and not others)


def load_model(net: Net, params: Sequence[Any], model: pb.NetParameter, source: str = "") -> list[Any]:
    """`load_blobs` from an upgraded NetParameter. Of layers with the same name, the n-th takes the parameters of the
    n-th in the model, so that a run resumes exactly; in Caffe, the first gets those of the last."""
    names = {layer.name for layer in net.layers}
    blobs: defaultdict[str, list[list[np.ndarray]]] = defaultdict(list)
    for layer in model.layer:
        if layer.name in names:
            blobs[layer.name].append([_array(blob, layer.name, source) for blob in layer.blobs])
    return _replaced(net, params, blobs, source)


def to_model(net: Net, params: Sequence[Any], diffs: Sequence[Any] | None = None) -> pb.NetParameter:
    """The net with its parameters (and gradients, with `diffs`), as Caffe writes it into a .caffemodel."""
    out = pb.NetParameter(name=net.name)
    for layer, ids in zip(net.layers, net.param_ids, strict=True):
        copy = out.layer.add()
        copy.CopyFrom(layer.config)
        del copy.blobs[:]
        if layer.loss and not copy.loss_weight:
            copy.loss_weight.extend([1] + [0] * (len(copy.top) - 1))  # Caffe's loss layers write down their default
        for decl in layer.params[len(copy.param) :] if all(not decl.learned for decl in layer.params) else ():
            copy.param.add(lr_mult=float(decl.learned))  # and its BatchNorm writes that its averages aren't learned
        for k, decl in zip(ids, layer.params, strict=True):
            diff = None if diffs is None else in_layer(net, k, decl, diffs[k])
            copy.blobs.append(binary.from_array(in_layer(net, k, decl, params[k]), diff))
    return out


def in_layer(net: Net, k: int, decl: ParamDecl, value: Any) -> np.ndarray:
    """Parameter k of the net in the shape that a layer using it declares; one cut to another shape keeps that."""
    return np.asarray(value).reshape(_shape(net, k, decl, value))


def _shape(net: Net, k: int, decl: ParamDecl, value: Any) -> Shape:
    """The shape of parameter k in a layer that uses it. value: its array in the net, or None."""
    return decl.shape if value is None or np.shape(value) == net.params[k].shape else np.shape(value)


def _array(blob: pb.BlobProto, layer: str, source: str) -> np.ndarray:
    try:
        return binary.to_array(blob)
    except SnapshotError as e:
        raise SnapshotError(f"{source}: layer {layer!r}: {e}") from e
