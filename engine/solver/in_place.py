"""Has a step's program write each parameter in its place: when all that read it are done, and by a fast loop.

XLA gives a donated parameter's memory to the new value. On a CPU, whose operations run in any order that their operands
allow, it first copies each parameter that an operation may still read then: the product for the gradient of a layer's
bottom does. The gradients of the learned layer below follow from that product, so that a new value which follows from
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

SHORT = 2**12
"""Numbers of a parameter, as a bias, that is copied in less time than it takes to compile a loop for it."""


def zeros(net: Net, grads: Sequence[Array]) -> list[Array]:
    """For each parameter a 0 (uint32) that on a CPU is known when the layers have read it; for `subtracted`."""

    def on_cpu(grads: list[Array]) -> list[Array]:
        return [_zero([grads[k] for k in below]) for below in witnesses(net)]

    def default(grads: list[Array]) -> list[Array]:
        return [jnp.uint32(0)] * len(grads)

    known: list[Array] = lax.platform_dependent(list(grads), cpu=on_cpu, default=default)
    return known


def witnesses(net: Net) -> list[list[int]]:
    """For each parameter, those whose gradients follow from the gradients of the bottoms of each layer that has it.

    One for a bottom: the smallest of a learned layer that is one of the nearest below; where there is none, its own.
    None for what is short.
    """
    sizes = [count(param.shape) for param in net.params]
    found: list[set[int]] = [set() for _ in net.params]
    at: dict[Value, int] = {}
    layers = zip(net.graph.nodes, net.param_ids, net.tops, net.needs_backward.bottoms, strict=True)
    for node, ids, tops, needed in layers:
        below = {at[v] for v, need in zip(node.bottoms, needed, strict=True) if need and v in at}
        learned = [k for k in ids if net.params[k].learned and sizes[k]]
        for k in learned:
            found[k] |= below
        if nearest := learned or below:
            at.update(dict.fromkeys(tops, min(nearest, key=lambda k: (sizes[k], k))))
    return [(sorted(below - {k}) or [k]) if sizes[k] > SHORT else [] for k, below in enumerate(found)]


def _zero(others: Sequence[Array]) -> Array:
    """0, in a way that XLA does not see through. Of 0 · other it does not either, but that may be no number."""
    zero: Array = jnp.uint32(0)
    for other in others:
        zero = zero | ((lax.bitcast_convert_type(other.reshape(-1)[0], jnp.uint32) >> 16) >> 16)
    return zero


def subtracted(w: Array, step: Array, zero: Array) -> Array:
    """w − step, when `zero` is known.

    A subtraction alone XLA computes element by element where the innermost axes are short, as of 3×3 kernels: with
    another operation before it, ResNet-50's weights take a third of the time.
    """
    same: Array = lax.bitcast_convert_type(lax.bitcast_convert_type(step, jnp.uint32) | zero, step.dtype)
    return w - same
