"""Forward and backward passes over a range of layers, on values named by blob. Both are pure.

The backward pass works as in Caffe: each layer in turn takes its tops' gradients and returns those of its bottoms and
parameters, so that ranges of layers and gradients that the caller wrote into `diff` need no special treatment. Each
layer is differentiated at its recorded bottoms; XLA drops those parts of its forward computation that are not needed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from engine.graph.graph import Value
from engine.layers.base import Array, SourceLayer
from engine.net import labels, spans
from engine.net.net import Net

Params = Mapping[int, Array]
"""Parameters by their number in `net.params`."""


class Passed(NamedTuple):
    """What a range of layers computed: values, every version of every top except the sources'; updates, the new values
    of state parameters.

    labels: those of the net's unchecked labels that these layers read, by their index: see `Net.check_labels`.
    """

    values: dict[Value, Array]
    updates: dict[int, Array]
    labels: dict[int, Array]


def reads(net: Net, start: int, end: int) -> list[Value]:
    """The values that layers start … end take from outside the range: those of sources and of earlier layers."""
    return spans.reads(net.layers, net.graph.nodes, net.tops, start, end)


def forward(net: Net, start: int, end: int, params: Params, inputs: Mapping[Value, Array], keys: Array) -> Passed:
    """Runs layers start … end on the values that `reads` lists. keys[i]: the key data of layer i's random key."""
    values: dict[Value, Array] = {}
    updates: dict[int, Array] = {}
    looked: dict[int, Array] = {}
    for i in range(start, end + 1):
        if isinstance(net.layers[i], SourceLayer):
            continue
        bottoms = [values[v] if v in values else inputs[v] for v in net.graph.nodes[i].bottoms]
        tops, changed = net.run(i, {**params, **updates}, bottoms, jax.random.wrap_key_data(keys[i]))
        values.update(zip(net.tops[i], (top.astype(jnp.float32) for top in tops), strict=True))
        updates.update(changed)
        for n, each in enumerate(net.unchecked_labels):
            if each.layer == i:
                looked[n] = labels.look(each.bounds, bottoms[each.bottom])
    return Passed(values, updates, looked)


def needed(net: Net, i: int) -> tuple[list[int], list[int]]:
    """The parameters, by number, and the bottoms, by position, whose gradients layer i computes."""
    if not net.needs_backward.layers[i] or isinstance(net.layers[i], SourceLayer):
        return [], []
    forced = net.graph.param.force_backward
    params = {k for k in net.param_ids[i] if net.params[k].learned or (forced and net.params[k].decl.learned)}
    return sorted(params), [j for j, need in enumerate(net.needs_backward.bottoms[i]) if need]


def backward(
    net: Net,
    start: int,
    end: int,
    params: Params,
    values: Mapping[Value, Array],
    diffs: Mapping[str, Array],
    param_diffs: Params,
    keys: Array,
) -> tuple[dict[str, Array], dict[int, Array]]:
    """Runs the backward pass of layers start, start − 1, … end.

    values: all bottoms, as the forward pass read them. diffs: gradients by blob. Returns the gradients that were
    written, and `param_diffs` with this pass's gradients added.
    """
    diffs, sums = dict(diffs), dict(param_diffs)
    written: set[str] = set()
    for i in range(start, end - 1, -1):
        own, below = needed(net, i)
        if not own and not below:
            continue
        bottoms = net.graph.nodes[i].bottoms
        pull, tops = _differentiated(net, i, params, [values[v] for v in bottoms], own, below, keys[i])
        to_params, to_bottoms = pull([diffs[v.blob].astype(t.dtype) for v, t in zip(net.tops[i], tops, strict=True)])
        sums.update({k: sums[k] + to_params[k] for k in own})
        # An in-place layer's top and bottom have one name: the top's gradient is read before the bottom's is written.
        diffs.update({bottoms[j].blob: to_bottoms[j] for j in below})
        written.update(bottoms[j].blob for j in below)
    return {blob: diffs[blob] for blob in written}, sums


def _differentiated(
    net: Net, i: int, params: Params, bottoms: Sequence[Array], own: list[int], below: list[int], key: Array
) -> tuple[Callable[[list[Array]], tuple[Params, Params]], list[Array]]:
    """Layer i's pullback with respect to the parameters `own` and the bottoms `below`, and its tops."""

    def run(some_params: Params, some_bottoms: Params) -> list[Array]:
        inputs = [some_bottoms.get(j, bottom) for j, bottom in enumerate(bottoms)]
        return net.run(i, {**params, **some_params}, inputs, jax.random.wrap_key_data(key))[0]

    tops, pull = jax.vjp(run, {k: params[k] for k in own}, {j: bottoms[j] for j in below})
    return pull, tops
