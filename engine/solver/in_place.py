"""Has a step's program write each parameter in its place when all that read it are done.

XLA gives a donated parameter's memory to the new value. On a CPU, whose operations run in any order that their operands
allow, it first copies each parameter that an operation may still read then: the product for the gradient of a layer's
bottom does. The gradients of the learned layer below follow from that product, so that an update which follows from
them needs no copy.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from engine.graph.graph import Value
from engine.layers.base import count
from engine.net.net import Net

Array = jax.Array


def after_readers(net: Net, grads: Sequence[Array]) -> list[Array]:
    """The gradients, each made to follow from the layers' gradients that are computed from its parameter."""

    def on_cpu(grads: list[Array]) -> list[Array]:
        return [_after(g, [grads[k] for k in below]) for g, below in zip(grads, witnesses(net), strict=True)]

    ordered: list[Array] = lax.platform_dependent(list(grads), cpu=on_cpu, default=lambda grads: grads)
    return ordered


def witnesses(net: Net) -> list[list[int]]:
    """For each parameter, those whose gradients follow from the gradients of the bottoms of each layer that has it.

    They are those of the nearest learned layers below, the smallest of each.
    """
    found: list[set[int]] = [set() for _ in net.params]
    at: dict[Value, set[int]] = {}
    for node, ids, tops in zip(net.graph.nodes, net.param_ids, net.tops, strict=True):
        below = set().union(*(at.get(v, set()) for v in node.bottoms))
        learned = [k for k in ids if net.params[k].learned and count(net.params[k].shape)]
        for k in learned:
            found[k] |= below
        here = {min(learned, key=lambda k: count(net.params[k].shape))} if learned else below
        at.update(dict.fromkeys(tops, here))
    return [sorted(below - {k}) for k, below in enumerate(found)]


def _after(x: Array, others: Sequence[Array]) -> Array:
    """x, bit for bit, by an operation that has the others among its operands.

    XLA takes a barrier away too early for that, and sees through most that changes nothing; x + 0 · other is no number
    where the other is none.
    """
    if not others:
        return x
    bits = lax.bitcast_convert_type(x, jnp.uint32)
    for other in others:
        first = lax.bitcast_convert_type(other.reshape(-1)[0], jnp.uint32)
        bits = bits | ((first >> 16) >> 16)  # 0
    return lax.bitcast_convert_type(bits, x.dtype)
