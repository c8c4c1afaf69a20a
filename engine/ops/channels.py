"""Where the channels are: blobs are (N, C, …), and what is fast on a CPU has them last, (N, …, C).

The forms that want them last transpose what they are given and what they return. Two such transpositions in a row
cancel, and with element-wise operations between them XLA makes one loop of all, which reads and writes channels last: a
net of such forms computes channels last from the first of them to the last, while no layer knows.
"""

from collections.abc import Callable
from math import prod

import jax
from jax import lax

from engine.ops import onednn_proof, platform

Array = jax.Array


def last(x: Array) -> Array:
    """(N, C, …) → (N, …, C)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def first(x: Array) -> Array:
    """(N, …, C) → (N, C, …)."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def where_fastest(form: Callable[..., Array], *blobs: Array) -> Array:
    """`form(axis, *blobs)` → a blob, with the channels in that axis of all: where this platform has them fastest.

    On a CPU that is where the convolutions have them. Not differentiable: for the two sides of a custom gradient.
    """
    if not onednn_proof.passed():
        return form(1, *blobs)

    def on_cpu(*blobs: Array) -> Array:
        return first(form(blobs[0].ndim - 1, *map(last, blobs)))

    made: Array = platform.dependent(*blobs, cpu=platform.widened(on_cpu), default=lambda *blobs: form(1, *blobs))
    return made


def stored(x: Array) -> Array:
    """x, which a CPU writes to memory before several read it. A GPU computes what is cheap anew for each of them."""
    made: Array = platform.dependent(x, cpu=lax.optimization_barrier, default=lambda x: x)
    return made


def of_maps(form: Callable[..., Array], *blobs: Array) -> Array:
    """`where_fastest` for blobs that convolutions may stand beside, (N, C, H, W); others as they are."""
    return where_fastest(form, *blobs) if blobs[0].ndim == 4 else form(1, *blobs)


def rows(x: Array) -> Array:
    """(N, …, C) → (N · …, C)."""
    return x.reshape(prod(x.shape[:-1]), x.shape[-1])


def along(values: Array, x: Array) -> Array:
    """values (C), shaped to be broadcast against x (N, C, …)."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def sums(form: Callable[..., Array], *blobs: Array) -> Array:
    """(C,): Σ over all but the channels of `form(along, *blobs)`, element-wise; along(v) lays v (C) along the channels.

    Not differentiable, as `where_fastest`. The barrier is for XLA, which else sums what a blob was transposed from, and
    copies it for that.
    """

    def plain(*blobs: Array) -> Array:
        x = blobs[0]
        return form(lambda v: along(v, x), *blobs).sum((0, *range(2, x.ndim)))

    def on_cpu(x: Array, *others: Array) -> Array:
        return form(lambda v: v, rows(lax.optimization_barrier(last(x))), *(rows(last(y)) for y in others)).sum(0)

    if not onednn_proof.passed():
        return plain(*blobs)
    made: Array = platform.dependent(*blobs, cpu=on_cpu, default=plain)
    return made
