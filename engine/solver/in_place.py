"""Makes a step's program update each parameter in place, after all that read it, and with a fast loop.

XLA gives a donated parameter's memory to the new value. On a CPU, operations run in any order that their operands
allow, so XLA first copies each parameter that an operation may still have to read, such as the product for the gradient
of a layer's bottom. The gradients of the learned layer below depend on that product; so a new value that is made to
depend on these gradients needs no copy.
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
"""A parameter with up to this many numbers, such as a bias, is copied faster than a loop for it is compiled."""


def zeros(net: Net, grads: Sequence[Array]) -> list[Array]:
    """For each parameter, a 0 (uint32) for `subtracted`, which on a CPU is known only once the layers have read it."""

    def on_cpu(grads: list[Array]) -> list[Array]:
        return [_zero([grads[k] for k in below]) for below in witnesses(net)]

    def default(grads: list[Array]) -> list[Array]:
        return [jnp.uint32(0)] * len(grads)

    result: list[Array] = lax.platform_dependent(list(grads), cpu=on_cpu, default=default)
    return result


def witnesses(net: Net) -> list[list[int]]:
    """For each parameter, other parameters whose gradients depend on the bottoms' gradients of the layers that have it.

    One per bottom: the smallest parameter of the nearest learned layers below it. If there is none, the parameter
    itself. Short parameters have an empty list.
    """
    sizes = [count(param.shape) for param in net.params]
    by_param: list[set[int]] = [set() for _ in net.params]
    at: dict[Value, int] = {}
    layers = zip(net.graph.nodes, net.param_ids, net.tops, net.needs_backward.bottoms, strict=True)
    for node, ids, tops, needed in layers:
        below = {at[v] for v, need in zip(node.bottoms, needed, strict=True) if need and v in at}
        learned = [k for k in ids if net.params[k].learned and sizes[k]]
        for k in learned:
            by_param[k] |= below
        if nearest := learned or below:
            at.update(dict.fromkeys(tops, min(nearest, key=lambda k: (sizes[k], k))))
    return [(sorted(below - {k}) or [k]) if sizes[k] > SHORT else [] for k, below in enumerate(by_param)]


def _zero(others: Sequence[Array]) -> Array:
    """0, in a way that XLA does not see through. It would not see through 0 · other either, but that may be NaN."""
    zero: Array = jnp.uint32(0)
    for other in others:
        zero = zero | ((lax.bitcast_convert_type(other.reshape(-1)[0], jnp.uint32) >> 16) >> 16)
    return zero


def subtracted(w: Array, step: Array, zero: Array) -> Array:
    """w − step, computed once `zero` is known.

    If the innermost axes are short, as in 3×3 kernels, XLA computes a single subtraction element by element. With
    another operation before it, ResNet-50's weights take a third of the time.
    """
    opaque_step: Array = lax.bitcast_convert_type(lax.bitcast_convert_type(step, jnp.uint32) | zero, step.dtype)
    return w - opaque_step
