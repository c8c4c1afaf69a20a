"""Memory layout: blobs are channels-first, (N, C, …), but a CPU is fastest with channels last, (N, …, C).

Forms that want channels last transpose their arguments and results. Two such transpositions in a row cancel; if there
are element-wise operations between them, XLA fuses all into one loop that reads and writes channels last. A net of such
forms thus computes channels-last from the first of them to the last, and no layer needs to know.
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


def moved(axis: int, channels: int) -> int:
    """The number of an axis of (N, C, …) when the channels are in axis `channels`."""
    return axis if channels == 1 or axis == 0 else channels if axis == 1 else axis - 1


def where_fastest(form: Callable[..., Array], *blobs: Array) -> Array:
    """Calls `form(axis, *blobs)`, which returns a blob, with all channels in the `axis` that is fastest here.

    On a CPU that is the axis that convolutions use. Not differentiable: for the two sides of a custom gradient.
    """
    if not onednn_proof.passed():
        return form(1, *blobs)

    def on_cpu(*blobs: Array) -> Array:
        return first(form(blobs[0].ndim - 1, *map(last, blobs)))

    result: Array = platform.dependent(*blobs, cpu=platform.widened(on_cpu), default=lambda *blobs: form(1, *blobs))
    return result


def stored(x: Array) -> Array:
    """x, materialized on a CPU before several operations read it. A GPU computes what is cheap again for each."""
    result: Array = platform.dependent(x, cpu=lax.optimization_barrier, default=lambda x: x)
    return result


def of_maps(form: Callable[..., Array], *blobs: Array) -> Array:
    """`where_fastest` for blobs (N, C, H, W), which may be next to convolutions; others keep their layout."""
    return where_fastest(form, *blobs) if blobs[0].ndim == 4 else form(1, *blobs)


def rows(x: Array) -> Array:
    """(N, …, C) → (N · …, C)."""
    return x.reshape(prod(x.shape[:-1]), x.shape[-1])


def along(values: Array, x: Array) -> Array:
    """values (C), reshaped to be broadcast against x (N, C, …)."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def sums(form: Callable[..., Array], *blobs: Array) -> Array:
    """(C,): Σ of `form(along, *blobs)` over all axes but the channels. form: element-wise; along(v) shapes v (C) to be
    broadcast along the channels.

    Not differentiable, like `where_fastest`. Without the barrier, XLA would sum the array that the first blob was
    transposed from, and copy it for that.
    """

    def plain(*blobs: Array) -> Array:
        x = blobs[0]
        return form(lambda v: along(v, x), *blobs).sum((0, *range(2, x.ndim)))

    def on_cpu(x: Array, *others: Array) -> Array:
        return form(lambda v: v, rows(lax.optimization_barrier(last(x))), *(rows(last(y)) for y in others)).sum(0)

    if not onednn_proof.passed():
        return plain(*blobs)
    totals: Array = platform.dependent(*blobs, cpu=on_cpu, default=plain)
    return totals
