"""A net's parameters: how they are numbered, which layer owns each, and which ones layers share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from engine.errors import SnapshotError
from engine.graph import fits, model_fit
from engine.graph.graph import Node
from engine.host import memory
from engine.layers.base import Array, Layer, ParamDecl, Shape, count
from engine.proto import binary
from engine.proto import caffe_pb2 as pb


@dataclass(frozen=True)
class Param:
    """One of the net's parameters, in the order of Caffe's learnable_params; a shared one appears once.

    layer, index: the layer that owns it, and its place among that layer's blobs. lr_mult, decay_mult: from its
    ParamSpec; 0 for state.
    """

    layer: str
    index: int
    decl: ParamDecl
    lr_mult: float
    decay_mult: float

    @property
    def shape(self) -> Shape:
        return self.decl.shape

    @property
    def learned(self) -> bool:
        return self.decl.learned and self.lr_mult != 0


def declared(nodes: Sequence[Node], layers: Sequence[Layer]) -> tuple[list[Param], list[list[int]]]:
    """The parameters that layers declare, after setup, and for each layer the numbers of its own among them.

    Raises LayerError if layers that share a parameter want different shapes, if the `blobs` of a layer don't fit it,
    or if all parameters together exceed the machine's memory.
    """
    params: list[Param] = []
    ids: list[list[int]] = []
    for node, layer in zip(nodes, layers, strict=True):
        fits.param_blocks(node, len(layer.params))
        ids.append([])
        values = written(layer)
        for i, decl in enumerate(layer.params):
            if i in node.owners:
                owner, index = node.owners[i]
                shared = ids[owner][index]
                fits.shared(node, i, decl.name, decl.shape, params[shared].layer, params[shared].shape)
                ids[-1].append(shared)
                continue
            spec = node.config.param[i] if i < len(node.config.param) else pb.ParamSpec()
            lr_mult, decay_mult = (spec.lr_mult, spec.decay_mult) if decl.learned else (0.0, 0.0)
            ids[-1].append(len(params))
            own = replace(decl, value=values[i]) if values else decl
            params.append(Param(layer.name, i, own, lr_mult, decay_mult))
    _check_memory(params, layers)
    return params, ids


def written(layer: Layer) -> list[np.ndarray]:
    """The initial values in the net's definition itself (the layer's `blobs`); usually none.

    Raises LayerError if they don't fit the parameters that the layer declares.
    """
    if not layer.config.blobs or not layer.params:
        return []
    try:
        arrays = [binary.to_array(blob) for blob in layer.config.blobs]
    except SnapshotError as error:
        raise layer.error(str(error)) from None
    expected = [(decl.name, decl.shape) for decl in layer.params]
    if complaint := model_fit.complaint(layer.name, [value.shape for value in arrays], expected):
        raise layer.error(complaint)
    own = zip(ordered(arrays, expected), layer.params, strict=True)
    return [value.reshape(decl.shape) for value, decl in own]


def ordered(arrays: Sequence[np.ndarray], expected: Sequence[tuple[str, Shape]]) -> Sequence[np.ndarray]:
    """`arrays`, a layer's arrays that fit it, in the order of its parameters; averages of another kind start from 0."""
    if model_fit.from_nvidia_017([value.shape for value in arrays], expected):
        return [*(arrays[i] for i in model_fit.NVIDIA_017[:4]), np.zeros(1, np.float32)]
    return arrays


def _check_memory(params: Sequence[Param], layers: Sequence[Layer]) -> None:
    total = 4 * sum(count(p.shape) for p in params)
    if total > memory.physical():
        most = max(params, key=lambda p: count(p.shape))
        layer = next(layer for layer in layers if layer.name == most.layer)
        raise layer.error(
            f"the net's parameters would take {total:,} bytes, {4 * count(most.shape):,} of them its "
            f"{most.decl.name} of shape {list(most.shape)}, and this machine has {memory.physical():,}."
        )


def recurrent(layers: Sequence[Layer], first: int) -> tuple[list[Param], list[list[int]]]:
    """Like `declared`, for what layers remember from pass to pass. Numbers start at `first`, after the parameters of
    all layers, which thereby keep Caffe's numbers."""
    params: list[Param] = []
    ids: list[list[int]] = []
    for layer in layers:
        ids.append([first + len(params) + n for n in range(len(layer.recurrent_state))])
        params += [
            Param(layer.name, index, decl, 0.0, 0.0)
            for index, decl in enumerate(layer.recurrent_state, start=len(layer.params))
        ]
    return params, ids


def check_same(layers: Sequence[Layer], resized: Sequence[Layer]) -> None:
    """Raises LayerError if one of `resized`, set up again, declares a parameter with another shape than before."""
    for layer, before in zip(resized, layers, strict=True):
        for now, then in zip(layer.params, before.params, strict=True):
            if now.shape != then.shape:
                raise layer.error(
                    f"its bottoms' new shapes ask for a {now.name} of shape {list(now.shape)}; "
                    f"it has one of {list(then.shape)}."
                )


def shaped(value: Array, shape: Shape) -> Array:
    """A parameter in the shape that a layer declares; if it is shared permissively, its owner's shape may differ."""
    return value if value.shape == shape else value.reshape(shape)


def cleared(value: Array, shape: Shape) -> Array:
    """Recurrent state; reset to zeros if the previous pass had batches of another size."""
    return value if value.shape == shape else jnp.zeros(shape, jnp.float32)
