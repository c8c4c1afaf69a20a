"""Correlation: how alike two feature maps are at each displacement (FlowNetC)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of


@layer("Correlation")
class Correlation(Layer):
    """The mean of a · b, or of |a − b|, over patches of a and displaced patches of b (Dosovitskiy et al. 2015).

    Patches are `kernel_size` wide, `stride_1` apart, and displaced by −max_displacement … max_displacement, every
    `stride_2`, down and across; `pad` zeros lie around both bottoms. The fork's gradient of |a − b| (SUBTRACT) reads
    the signs of both at the displaced place.
    Bottoms: a and b (N, C, H, W). Top: (N, D², P, Q), D = 2 ⌊max_displacement / stride_2⌋ + 1, the displacement across
    the faster.
    """

    bottoms = (2, 2)

    def setup(self, a: Shape, b: Shape) -> list[Shape]:
        p = self.config.correlation_param
        if len(a) != 4 or a != b:
            raise self.error(
                f"{self.bottom(0)} has shape {list(a)} and {self.bottom(1)} {list(b)}; both must be (N, C, H, W), of "
                "one shape."
            )
        if p.kernel_size % 2 == 0:
            raise self.error(f"kernel_size is {p.kernel_size}; correlation_param needs one, and an odd one.")
        if not p.HasField("max_displacement"):
            raise self.error("correlation_param needs max_displacement.")
        for field in ("stride_1", "stride_2"):
            if not getattr(p, field):
                raise self.error(f"{field} is 0; it must be 1 or more.")
        self.kernel, self.stride, self.pad, self.reach = p.kernel_size, p.stride_1, p.pad, p.max_displacement
        self.subtract = p.correlation_type == p.SUBTRACT
        steps = np.arange(-(p.max_displacement // p.stride_2), p.max_displacement // p.stride_2 + 1) * p.stride_2
        self.displacements = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2).astype(np.int32)
        border = 2 * p.max_displacement + p.kernel_size - 1
        self.places = tuple(-(-(n + 2 * p.pad - border) // p.stride_1) for n in a[2:])
        if min(self.places) < 1:
            raise self.error(
                f"patches of {p.kernel_size} displaced by up to {p.max_displacement} do not fit {self.bottom(0)} of "
                f"{a[2]}×{a[3]} with pad {p.pad}. Give it a larger pad."
            )
        return [(a[0], len(self.displacements), *self.places)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b = (jnp.pad(x, ((0, 0), (0, 0), (self.pad, self.pad), (self.pad, self.pad))) for x in bottoms)
        if not self.subtract:
            return [self._over_patches(a, b)]
        sign = stop_gradient(jnp.where(a >= b, 1.0, -1.0))
        pulled = self._over_patches(a, sign) - self._over_patches(sign, b)
        return [with_gradient_of(self._over_patches(a, b, differ=True), pulled)]

    def _over_patches(self, a: Array, b: Array, *, differ: bool = False) -> Array:
        """The means of a · b, or with `differ` of |a − b|, of padded bottoms; one displacement at a time in memory."""
        spans = [(n - 1) * self.stride + self.kernel for n in self.places]
        of_a = a[:, :, self.reach : self.reach + spans[0], self.reach : self.reach + spans[1]]

        @jax.checkpoint
        def displaced(by: Array) -> Array:
            of_b = lax.dynamic_slice(b, (by[0] * 0, by[0] * 0, self.reach + by[0], self.reach + by[1]), of_a.shape)
            alike = jnp.mean(jnp.abs(of_a - of_b) if differ else of_a * of_b, axis=1)
            return self._patches(alike)

        return jnp.moveaxis(lax.map(displaced, jnp.asarray(self.displacements)), 0, 1)

    def _patches(self, alike: Array) -> Array:
        """The mean of each patch: (N, *spans) → (N, P, Q)."""
        rows, columns = ((n - 1) * self.stride + 1 for n in self.places)
        taps = [
            alike[:, i : i + rows : self.stride, j : j + columns : self.stride]
            for i in range(self.kernel)
            for j in range(self.kernel)
        ]
        return sum(taps, jnp.zeros((), alike.dtype)) / len(taps)
