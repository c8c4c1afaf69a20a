"""Layers that select rows by index: Embed, BatchReindex, Filter."""

import jax
import jax.numpy as jnp
import numpy as np

from engine.data.label_bounds import LabelBounds
from engine.graph import parts
from engine.layers.base import SIZED_BY_VALUES, Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer
from engine.ops.picked_rows import pick


def rows(x: Array, numbers: Array) -> Array:
    """x[numbers]. An index out of range gives NaN, because a compiled function cannot check its arrays."""
    picked = jax.lax.stop_gradient(numbers).astype(jnp.int32)
    return pick(x, picked.ravel()).reshape(*picked.shape, *x.shape[1:])


@layer("Embed")
class Embed(Layer):
    """y = W[x] (+ b): for each index in x, from 0 to input_dim − 1, that row of W.

    Bottom: x (d0, …, dn). Top: y (d0, …, dn, num_output). Params: W (input_dim, num_output), b (num_output).
    """

    no_gradient = (0,)

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.embed_param
        self.input_dim, _ = weight = parts.embedded(self.node)
        self.weight = self.param("weight", weight, p.weight_filler)
        self.bias = self.param("bias", (p.num_output,), p.bias_filler) if p.bias_term else None
        return [(*x, p.num_output)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        y = rows(params[self.weight], bottoms[0])
        return [y if self.bias is None else y + params[self.bias]]

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {0: LabelBounds(self.input_dim, layer=self.node.shown, remedy="Correct the indices, or input_dim.")}


@layer("BatchReindex")
class BatchReindex(Layer):
    """y = x[p]: the rows of x with the indices in p, in that order, possibly repeated.

    Bottoms: x (N, …), p (M,). Top: y (M, …).
    """

    no_gradient = (1,)

    def setup(self, x: Shape, p: Shape) -> list[Shape]:
        shape = parts.reindexed(self.node, x, p)
        self.examples = x[0]
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [rows(*bottoms)]

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {1: LabelBounds(self.examples, layer=self.node.shown, remedy="They must be indices of rows.")}


@layer("Filter")
class Filter(Layer):
    """The rows of each bottom where the last bottom, the selector, is not 0.

    Bottoms: any number of (N, …), and the selector (N,) or (N, 1, …). Tops: (M, …) for each bottom but the selector,
    where M is the number of selected rows. M is known only from the selector's values: the layers after a Filter are
    set up and compiled again for each M that occurs; those before it are not.
    """

    dynamic = True
    single_device_reason = SIZED_BY_VALUES

    def setup(self, *bottoms: Shape) -> list[Shape]:
        *blobs, selector = bottoms
        self.no_gradient = (len(blobs),)
        if len(self.config.top) != len(blobs):
            raise self.error(f"it has {len(self.config.top)} tops; it makes one for each bottom but the last.")
        if not selector or count(selector) != selector[0]:
            raise self.error(f"{self.bottom(-1)} of shape {list(selector)} must hold one value for each row.")
        for j, shape in enumerate(blobs):
            if shape[:1] != selector[:1]:
                raise self.error(
                    f"{self.bottom(j)} of shape {list(shape)} must have {selector[0]} rows, as the selector "
                    f"{self.bottom(-1)} of shape {list(selector)} has."
                )
        return list(blobs)

    def measure(self, params: Arrays, bottoms: Arrays) -> list[Shape]:
        *blobs, selector = bottoms
        selected = int(np.count_nonzero(np.asarray(selector)))
        return [(selected, *x.shape[1:]) for x in blobs]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        *blobs, selector = bottoms
        (picked,) = jnp.nonzero(jax.lax.stop_gradient(selector).ravel(), size=self.top_shapes[0][0])
        return [x[picked] for x in blobs]
