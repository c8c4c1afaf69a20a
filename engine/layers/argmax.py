"""ArgMax: the indices of the largest values."""

import jax
import jax.numpy as jnp

from engine.graph import parts
from engine.layers.base import Array, Arrays, Context, Layer, Shape, rows
from engine.layers.registry import layer


@layer("ArgMax")
class ArgMax(Layer):
    """The indices of the `top_k` largest values, in descending order; among equal values, the last comes first (Caffe).

    With `axis`, they are taken along that axis: top (…, top_k, …); `out_max_val` gives the values instead of the
    indices. Without, they are taken over each item: top (d0, 1, top_k, 1, …), with as many axes as x and at least 3;
    with `out_max_val`, (d0, 2, top_k, 1, …): indices and values.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.argmax_param
        self.axis, self.shape = parts.largest(self.node, x)
        self.top_k, self.out_max_val = p.top_k, p.out_max_val
        return [self.shape]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = jax.lax.stop_gradient(bottoms[0])
        items = rows(x) if self.axis is None else jnp.moveaxis(x, self.axis, -1)
        # top_k puts the first of equal values first, so the rows are reversed.
        values, places = jax.lax.top_k(items[..., ::-1], self.top_k)
        indices = (items.shape[-1] - 1 - places).astype(x.dtype)
        if self.axis is not None:
            return [jnp.moveaxis(values if self.out_max_val else indices, -1, self.axis)]
        return [(jnp.stack([indices, values], 1) if self.out_max_val else indices).reshape(self.shape)]
