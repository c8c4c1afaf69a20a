"""`debug_info`: the magnitudes of every blob, parameter and gradient of an iteration, in Caffe's words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from engine.graph.graph import Value
from engine.layers.base import SourceLayer
from engine.net.net import Net

Array = jax.Array
Bottom = tuple[int, int]
"""The numbers of a layer and of one of its bottoms."""


class Blobs(NamedTuple):
    """Means of |x| for each top of each layer, and for the gradients of the bottoms that `probed` lists."""

    tops: Array
    gradients: Array


class Parameters(NamedTuple):
    """Means of |x| for each parameter and for its gradient; norms: L1 and L2 of both, over all parameters."""

    data: Array
    diff: Array
    norms: Array


class PassMagnitudes(NamedTuple):
    """The magnitudes in a pass. The gradients of parameters are sums over the iteration's passes so far."""

    blobs: Blobs
    params: Parameters


def probed(net: Net) -> list[Bottom]:
    """The bottoms whose gradients the backward pass computes, in its order: from the last layer to the first."""
    rows = reversed(list(enumerate(net.needs_backward.bottoms)))
    return [(i, j) for i, row in rows if net.needs_backward.layers[i] for j, need in enumerate(row) if need]


def probes(net: Net, values: Mapping[Value, Array]) -> dict[Bottom, Array]:
    """Zeros to be added to the bottoms that `probed` lists; their gradients are those of the bottoms."""
    return {(i, j): jnp.zeros(values[net.graph.nodes[i].bottoms[j]].shape) for i, j in probed(net)}


def blobs(net: Net, values: Mapping[Value, Array], gradients: Mapping[Bottom, Array]) -> Blobs:
    """The magnitudes of a pass's blobs. values: of every blob. gradients: of the probes."""
    return Blobs(_means(values[v] for tops in net.tops for v in tops), _means(gradients[b] for b in probed(net)))


def parameters(net: Net, params: Sequence[Array], diffs: Sequence[Array]) -> Parameters:
    """The magnitudes of the net's parameters and of their gradients (Caffe's diffs)."""
    sets = [[xs[k] for k in net.model_params] for xs in (params, diffs)]
    l1 = [jnp.sum(jnp.stack([jnp.sum(jnp.abs(x)) for x in xs] or [jnp.zeros(())])) for xs in sets]
    l2 = [jnp.sqrt(jnp.sum(jnp.stack([jnp.sum(x * x) for x in xs] or [jnp.zeros(())]))) for xs in sets]
    return Parameters(_means(sets[0]), _means(sets[1]), jnp.stack(l1 + l2))


def of_pass(net: Net, values: Mapping[Value, Array], params: Sequence[Array]) -> PassMagnitudes:
    """The magnitudes in a pass without gradients, where these are missing or 0."""
    tops = _means(values[v] for tops in net.tops for v in tops)
    return PassMagnitudes(Blobs(tops, _means([])), parameters(net, params, [jnp.zeros(()) for _ in params]))


def _means(arrays: Iterator[Array] | Sequence[Array]) -> Array:
    return jnp.stack([jnp.sum(jnp.abs(x.astype(jnp.float32))) / max(1, x.size) for x in arrays] or [jnp.zeros(())])


# Log lines: (Caffe's file and line, message)

Line = tuple[str, str]


def forward(net: Net, blob_magnitudes: Blobs, params: Parameters) -> Iterator[Line]:
    """The lines for every layer's tops and parameters."""
    tops = iter(np.asarray(blob_magnitudes.tops))
    for i, layer in enumerate(net.layers):
        for v in net.tops[i]:
            yield "net.cpp:591", f"    [Forward] Layer {layer.name}, top blob {v.blob} data: {next(tops):g}"
        for n, k in enumerate(net.param_ids[i]):
            text = f"param blob {_display(net, i, n)} data: {params.data[k]:g}"
            yield "net.cpp:602", f"    [Forward] Layer {layer.name}, {text}"


def backward(net: Net, blob_magnitudes: Blobs, params: Parameters) -> Iterator[Line]:
    """The lines for the gradients of every layer's bottoms and parameters, as far as they are computed."""
    gradients = dict(zip(probed(net), np.asarray(blob_magnitudes.gradients), strict=False))
    for i, layer in reversed(list(enumerate(net.layers))):
        if not net.needs_backward.layers[i] or isinstance(layer, SourceLayer):
            continue
        for j, v in enumerate(net.graph.nodes[i].bottoms):
            if (i, j) in gradients:
                text = f"bottom blob {v.blob} diff: {gradients[i, j]:g}"
                yield "net.cpp:619", f"    [Backward] Layer {layer.name}, {text}"
        for n, k in enumerate(net.param_ids[i]):
            state = not layer.params[n].learned and n >= len(layer.config.param)
            if net.params[k].learned or state:  # for BatchNorm's averages Caffe logs 0
                yield "net.cpp:630", f"    [Backward] Layer {layer.name}, param blob {n} diff: {params.diff[k]:g}"


def norms(params: Parameters) -> Line:
    """The line for all parameters together."""
    a, b, c, d = (f"{x:g}" for x in np.asarray(params.norms))
    text = f"L1 norm = ({a}, {b}); L2 norm = ({c}, {d})"
    return "net.cpp:671", f"    [Backward] All net params (data, diff): {text}"


def _display(net: Net, i: int, n: int) -> str:
    """The name by which a parameter is shared, or else its number."""
    specs = net.layers[i].config.param
    return (specs[n].name if n < len(specs) else "") or str(n)
