"""Correlation: how alike two feature maps are at each displacement (FlowNetC, DispNetCorr1D)."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb


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
    moves: ClassVar[tuple[int, int]] = (1, 1)
    """Whether patches are displaced down, and across; where they are not, there is no padding either."""

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
        self.kernel, self.stride, self.subtract = p.kernel_size, p.stride_1, p.correlation_type == p.SUBTRACT
        self.places = tuple(
            -(-(n + 2 * (p.pad - p.max_displacement) * moves - p.kernel_size + 1) // p.stride_1)
            for n, moves in zip(a[2:], self.moves, strict=True)
        )
        if min(self.places) < 1:
            raise self.error(
                f"patches of {p.kernel_size} displaced by up to {p.max_displacement} do not fit {self.bottom(0)} of "
                f"{a[2]}×{a[3]} with pad {p.pad}. Give it a larger pad."
            )
        steps = [np.array(self.steps(p)) * p.stride_2 * moves for moves in self.moves]
        down, across = (np.unique(each) for each in steps)
        self.displacements = np.stack(np.meshgrid(down, across, indexing="ij"), -1).reshape(-1, 2).astype(np.int32)
        self.first = tuple(
            max(p.max_displacement * moves, -int(each.min())) for each, moves in zip(steps, self.moves, strict=True)
        )
        self.pads = [
            (p.pad * moves + first - p.max_displacement * moves, p.pad * moves)
            for first, moves in zip(self.first, self.moves, strict=True)
        ]
        return [(a[0], len(self.displacements), *self.places)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b = (jnp.pad(x, ((0, 0), (0, 0), *self.pads)) for x in bottoms)
        if not self.subtract:
            return [self._over_patches(a, b)]
        sign = stop_gradient(jnp.where(a >= b, 1.0, -1.0))
        pulled = self._over_patches(a, sign) - self._over_patches(sign, b)
        return [with_gradient_of(self._over_patches(a, b, differ=True), pulled)]

    def steps(self, p: pb.CorrelationParameter) -> Sequence[int]:
        """The displacements along an axis, in units of stride_2."""
        most = p.max_displacement // p.stride_2
        return range(-most, most + 1)

    def _over_patches(self, a: Array, b: Array, *, differ: bool = False) -> Array:
        """The means of a · b, or with `differ` of |a − b|, of padded bottoms; one displacement at a time in memory."""
        spans = [(n - 1) * self.stride + self.kernel for n in self.places]
        row, column = self.first
        of_a = a[:, :, row : row + spans[0], column : column + spans[1]]

        @jax.checkpoint
        def displaced(by: Array) -> Array:
            of_b = lax.dynamic_slice(b, (by[0] * 0, by[0] * 0, row + by[0], column + by[1]), of_a.shape)
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


@layer("Correlation1D")
class Correlation1D(Correlation):
    """Correlation displaced across only, as for stereo pictures (DispNetCorr1D, Mayer et al. 2016).

    With `single_direction` 1 from 0 on to the right; with −1 to the left, as the fork has it from −stride_2 on and one
    step further than max_displacement, where what lies outside counts as 0. Padding lies left and right.
    Top: (N, D, P, Q), D = 2 ⌊max_displacement / stride_2⌋ + 1, or in a single direction ⌊…⌋ + 1.
    """

    moves = (0, 1)

    def steps(self, p: pb.CorrelationParameter) -> Sequence[int]:
        most = p.max_displacement // p.stride_2
        if p.single_direction not in (-1, 0, 1):
            raise self.error(f"single_direction is {p.single_direction}; it must be −1 (left), 0 (both) or 1 (right).")
        return {0: range(-most, most + 1), 1: range(most + 1), -1: range(-most - 1, 0)}[p.single_direction]
