"""Layers for sequences (T, N, …) of T steps of N items: their base, ContinuationIndicator and ReverseTime."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Layer, Shape, along, count
from engine.layers.registry import layer
from engine.ops.picked_rows import pick


class SequenceLayer(Layer):
    """The base of layers that read scores (T, N, C) or (T, N, C, 1): one per class at every step of each item."""

    steps: int
    items: int
    classes: int

    def check_scores(self, x: Shape, axes: str = "steps, batch, classes") -> Shape:
        """Returns the first three axes, which messages call `axes`. Raises LayerError for scores of another shape."""
        if len(x) < 3 or count(x[3:]) != 1 or not count(x):
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; it must be ({axes}).")
        return x[:3]

    def check_steps(self, index: int, shape: Shape) -> None:
        """Raises LayerError unless a bottom has one value for each step of each item."""
        if shape[:2] != (self.steps, self.items) or count(shape[2:]) != 1:
            raise self.error(
                f"{self.bottom(index)} has shape {list(shape)}; it must be ({self.steps}, {self.items}): steps, batch."
            )

    def check_rows(self, index: int, shape: Shape) -> None:
        """Raises LayerError unless a bottom has a row of labels for each item."""
        if len(shape) < 2 or shape[0] != self.items:
            raise self.error(f"{self.bottom(index)} has shape {list(shape)}; it must be ({self.items}, labels).")


def before(ended: Array) -> Array:
    """The number of values along the first axis before the first one in `ended`; all of them if there is none."""
    return jnp.sum(jnp.cumsum(ended, axis=0) == 0, axis=0)


def sequence_lengths(indicators: Array) -> Array:
    """The number of steps of each item (N,): those before the first 0 in its indicators (T, N), step 0 aside."""
    return before((indicators == 0) & (jnp.arange(len(indicators)) > 0)[:, None])


def marked_lengths(indicators: Array, labels: Array) -> tuple[Array, Array]:
    """Returns the numbers of steps and of labels of each item, (N,) each, for bottoms (T, N).

    A sequence ends where an indicator of 0 marks the beginning of the next; its labels end before the first negative
    one. An item without labels has no steps.
    """
    counts = before(labels < 0)
    return jnp.where(counts > 0, sequence_lengths((indicators + 0.5).astype(jnp.int32)), 0), counts


@layer("ContinuationIndicator")
class ContinuationIndicator(Layer):
    """Top (time_step, N), for an LSTM: 0 in the first row, where sequences begin, and 1 in all others.

    N is batch_size (xmfbit/warpctc-caffe), or the length of `axis` of the bottom, if there is one (DeepDetect).
    """

    bottoms = (0, 1)

    def setup(self, *x: Shape) -> list[Shape]:
        p = self.config.continuation_indicator_param
        items = x[0][self.canonical_axis(p.axis, x[0])] if x and not p.batch_size else p.batch_size
        if not p.time_step or not items:
            raise self.error("continuation_indicator_param needs time_step, and batch_size or a bottom.")
        return [(p.time_step, items)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jnp.ones(self.top_shapes[0]).at[0].set(0)]


@layer("ReverseTime")
class ReverseTime(Layer):
    """Reverses the first n steps of each item; the rest is 0, or x with copy_remaining (senlinuc/caffe_ocr).

    Bottoms: x (T, N, …), n (N,). Top: of x's shape.
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, lengths: Shape) -> list[Shape]:
        if len(x) < 2 or lengths != (x[1],):
            raise self.error(
                f"{self.bottom(1)} has shape {list(lengths)} and {self.bottom(0)} {list(x)}; the first must hold the "
                "number of steps of each item of the second, (steps, batch, …)."
            )
        self.copies_rest = self.config.reverse_time_param.copy_remaining
        return [x]

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, lengths = bottoms
        steps, ends = jnp.arange(x.shape[0])[:, None], stop_gradient(lengths).astype(jnp.int32)
        inside = steps < ends
        numbers = jnp.where(inside, ends - 1 - steps, steps) * x.shape[1] + jnp.arange(x.shape[1])
        turned = pick(x.reshape(numbers.size, *x.shape[2:]), numbers.ravel()).reshape(x.shape)
        return [turned if self.copies_rest else jnp.where(along(inside, 0, x.ndim), turned, 0)]
