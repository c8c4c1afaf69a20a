"""`debug_info`: how large the numbers are in every blob, parameter and gradient of an iteration, in Caffe's words."""

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
"""A layer's number, and a bottom's among its bottoms."""


class Blobs(NamedTuple):
    """Means of |x|: of each top of each layer, and of the gradients of the bottoms that `probed` lists."""

    tops: Array
    gradients: Array


class Parameters(NamedTuple):
    """Means of |x| for each parameter and for its gradient; norms: L1 and L2 of both, over all parameters."""

    data: Array
    diff: Array
    norms: Array


class PassMagnitudes(NamedTuple):
    """What a pass has to tell. The gradients of parameters are sums over the iteration's passes so far."""

    blobs: Blobs
    params: Parameters


def probed(net: Net) -> list[Bottom]:
    """The bottoms whose gradients the backward pass computes, in its order: from the last layer to the first."""
    rows = reversed(list(enumerate(net.needs_backward.bottoms)))
    return [(i, j) for i, row in rows if net.needs_backward.layers[i] for j, need in enumerate(row) if need]


def probes(net: Net, values: Mapping[Value, Array]) -> dict[Bottom, Array]:
    """Zeros to be added to those bottoms: their gradients are the bottoms'."""
    return {(i, j): jnp.zeros(values[net.graph.nodes[i].bottoms[j]].shape) for i, j in probed(net)}


def blobs(net: Net, values: Mapping[Value, Array], gradients: Mapping[Bottom, Array]) -> Blobs:
    """Of a pass: `values` of every blob, `gradients` of the probes."""
    return Blobs(_means(values[v] for tops in net.tops for v in tops), _means(gradients[b] for b in probed(net)))


def parameters(net: Net, params: Sequence[Array], diffs: Sequence[Array]) -> Parameters:
    """Of the net's parameters and what lies in their diffs, as Caffe would say."""
    sets = [[xs[k] for k in net.kept] for xs in (params, diffs)]
    l1 = [jnp.sum(jnp.stack([jnp.sum(jnp.abs(x)) for x in xs] or [jnp.zeros(())])) for xs in sets]
    l2 = [jnp.sqrt(jnp.sum(jnp.stack([jnp.sum(x * x) for x in xs] or [jnp.zeros(())]))) for xs in sets]
    return Parameters(_means(sets[0]), _means(sets[1]), jnp.stack(l1 + l2))


def of_pass(net: Net, values: Mapping[Value, Array], params: Sequence[Array]) -> PassMagnitudes:
    """Of a pass that has no gradients: theirs are nothing, or 0."""
    tops = _means(values[v] for tops in net.tops for v in tops)
    return PassMagnitudes(Blobs(tops, _means([])), parameters(net, params, [jnp.zeros(()) for _ in params]))


def _means(arrays: Iterator[Array] | Sequence[Array]) -> Array:
    return jnp.stack([jnp.sum(jnp.abs(x.astype(jnp.float32))) / max(1, x.size) for x in arrays] or [jnp.zeros(())])


# In words: (Caffe's file and line, message)

Line = tuple[str, str]


def forward(net: Net, found: Blobs, params: Parameters) -> Iterator[Line]:
    """Every layer's tops and parameters."""
    tops = iter(np.asarray(found.tops))
    for i, layer in enumerate(net.layers):
        for v in net.tops[i]:
            yield "net.cpp:591", f"    [Forward] Layer {layer.name}, top blob {v.blob} data: {next(tops):g}"
        for n, k in enumerate(net.param_ids[i]):
            said = f"param blob {_display(net, i, n)} data: {params.data[k]:g}"
            yield "net.cpp:602", f"    [Forward] Layer {layer.name}, {said}"


def backward(net: Net, found: Blobs, params: Parameters) -> Iterator[Line]:
    """The gradients of every layer's bottoms and parameters, as far as they are computed."""
    gradients = dict(zip(probed(net), np.asarray(found.gradients), strict=False))
    for i, layer in reversed(list(enumerate(net.layers))):
        if not net.needs_backward.layers[i] or isinstance(layer, SourceLayer):
            continue
        for j, v in enumerate(net.graph.nodes[i].bottoms):
            if (i, j) in gradients:
                said = f"bottom blob {v.blob} diff: {gradients[i, j]:g}"
                yield "net.cpp:619", f"    [Backward] Layer {layer.name}, {said}"
        for n, k in enumerate(net.param_ids[i]):
            state = not layer.params[n].learned and n >= len(layer.config.param)
            if net.params[k].learned or state:  # of BatchNorm's averages Caffe says 0
                yield "net.cpp:630", f"    [Backward] Layer {layer.name}, param blob {n} diff: {params.diff[k]:g}"


def norms(params: Parameters) -> Line:
    """Of all parameters together."""
    a, b, c, d = (f"{x:g}" for x in np.asarray(params.norms))
    said = f"L1 norm = ({a}, {b}); L2 norm = ({c}, {d})"
    return "net.cpp:671", f"    [Backward] All net params (data, diff): {said}"


def _display(net: Net, i: int, n: int) -> str:
    """The name that a parameter is shared by, or else its number."""
    specs = net.layers[i].config.param
    return (specs[n].name if n < len(specs) else "") or str(n)
