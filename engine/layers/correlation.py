"""Correlation: the similarity of two feature maps at each displacement (FlowNetC, DispNetCorr1D)."""

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

    Patches are `kernel_size` wide and `stride_1` apart. They are displaced by −max_displacement … max_displacement in
    steps of `stride_2`, vertically and horizontally. Both bottoms are padded with `pad` zeros. The fork's gradient of
    |a − b| (SUBTRACT) uses, for each bottom, the sign of a − b at the position of the other.
    Bottoms: a and b (N, C, H, W). Top: (N, D², P, Q), D = 2 ⌊max_displacement / stride_2⌋ + 1; the horizontal
    displacement varies fastest.
    """

    bottoms = (2, 2)
    moves: ClassVar[tuple[int, int]] = (1, 1)
    """Whether (1) or not (0) patches are displaced vertically and horizontally; other axes are not padded either."""

    def setup(self, a: Shape, b: Shape) -> list[Shape]:
        p = self.config.correlation_param
        if len(a) != 4 or a != b:
            raise self.error(
                f"{self.bottom(0)} has shape {list(a)} and {self.bottom(1)} {list(b)}; both must be (N, C, H, W), of "
                "one shape."
            )
        if p.kernel_size % 2 == 0:
            raise self.error(f"kernel_size is {p.kernel_size}; correlation_param needs an odd one.")
        if not p.HasField("max_displacement"):
            raise self.error("correlation_param needs max_displacement.")
        for field in ("stride_1", "stride_2"):
            if not getattr(p, field):
                raise self.error(f"{field} is 0; it must be 1 or more.")
        self.kernel, self.stride, self.subtract = p.kernel_size, p.stride_1, p.correlation_type == p.SUBTRACT
        self.step = p.stride_2
        self.places = tuple(
            -(-(n + 2 * (p.pad - p.max_displacement) * moves - p.kernel_size + 1) // p.stride_1)
            for n, moves in zip(a[2:], self.moves, strict=True)
        )
        if min(self.places) < 1:
            raise self.error(
                f"patches of {p.kernel_size} displaced by up to {p.max_displacement} do not fit {self.bottom(0)} of "
                f"{a[2]}×{a[3]} with pad {p.pad}. Give it a larger pad."
            )
        self.check_size("its top", (a[0], len(self.steps(p)) ** sum(self.moves), *self.places))
        steps = [np.array(self.steps(p)) * p.stride_2 * moves for moves in self.moves]
        self.down, self.across = (np.unique(each).astype(np.int32) for each in steps)
        self.first = tuple(
            max(p.max_displacement * moves, -int(each.min())) for each, moves in zip(steps, self.moves, strict=True)
        )
        self.pads = [
            (p.pad * moves + first - p.max_displacement * moves, p.pad * moves)
            for first, moves in zip(self.first, self.moves, strict=True)
        ]
        padded = (n + sum(pads) for n, pads in zip(a[2:], self.pads, strict=True))
        self.check_size(f"{self.bottom(0)}, padded,", (*a[:2], *padded))
        return [(a[0], len(self.down) * len(self.across), *self.places)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b = (jnp.pad(x, ((0, 0), (0, 0), *self.pads)) for x in bottoms)
        if not self.subtract:
            return [self._products(a, b)]
        sign = stop_gradient(jnp.where(a >= b, 1.0, -1.0))
        pulled = self._products(a, sign) - self._products(sign, b)
        return [with_gradient_of(self._differences(a, b), pulled)]

    def steps(self, p: pb.CorrelationParameter) -> Sequence[int]:
        """The displacements along an axis, in units of stride_2."""
        most = p.max_displacement // p.stride_2
        return range(-most, most + 1)

    def _products(self, a: Array, b: Array) -> Array:
        """The means of a · b over patches of padded bottoms, with one vertical displacement at a time in memory.

        One matrix product gives all pairs of positions in two rows. Of its S × T values, those needed lie on diagonals,
        which become columns if the rows are read as T + 1 long.
        """
        items, channels, *_ = a.shape
        of_a = self._undisplaced(a)
        (rows, places), leftmost = of_a.shape[2:], int(self.across[0])
        band = int(self.across[-1]) - leftmost + 1
        others = places + band - 1

        @jax.checkpoint
        def displaced(down: Array) -> Array:
            of_b = self._slice(b, down, leftmost, (rows, others))
            pairs = jnp.einsum("ncrs,ncrt->nrst", of_a, of_b) / channels
            pairs = jnp.pad(pairs.reshape(items, rows, -1), ((0, 0), (0, 0), (0, places)))
            return self._patches(pairs.reshape(items, rows, places, others + 1)[..., : band : self.step])

        products = lax.map(displaced, jnp.asarray(self.down))  # (down, N, P, Q, across)
        return jnp.transpose(products, (1, 0, 4, 2, 3)).reshape(self.top_shapes[0])

    def _differences(self, a: Array, b: Array) -> Array:
        """The means of |a − b| over patches of padded bottoms, with one displacement at a time in memory."""
        of_a = self._undisplaced(a)

        @jax.checkpoint
        def displaced(by: Array) -> Array:
            of_b = self._slice(b, by[0], by[1], of_a.shape[2:])
            return self._patches(jnp.mean(jnp.abs(of_a - of_b), axis=1))

        all_of_them = jnp.stack(jnp.meshgrid(self.down, self.across, indexing="ij"), -1).reshape(-1, 2)
        return jnp.moveaxis(lax.map(displaced, all_of_them), 0, 1)

    def _undisplaced(self, a: Array) -> Array:
        """The part of the padded a that the patches cover (N, C, R, S)."""
        rows, columns = ((n - 1) * self.stride + self.kernel for n in self.places)
        return self._slice(a, 0, 0, (rows, columns))

    def _slice(self, x: Array, down: Array | int, across: Array | int, size: Shape) -> Array:
        """The part of the padded x of this size that starts at the first patch, displaced by down and across."""
        start = (0, 0, self.first[0] + down, self.first[1] + across)
        return lax.dynamic_slice(x, [jnp.asarray(v, jnp.int32) for v in start], (*x.shape[:2], *size))

    def _patches(self, alike: Array) -> Array:
        """The mean of each patch: (N, R, S, …) → (N, P, Q, …)."""
        rows, columns = ((n - 1) * self.stride + 1 for n in self.places)
        taps = [
            alike[:, i : i + rows : self.stride, j : j + columns : self.stride]
            for i in range(self.kernel)
            for j in range(self.kernel)
        ]
        return sum(taps, jnp.zeros((), alike.dtype)) / len(taps)


@layer("Correlation1D")
class Correlation1D(Correlation):
    """Correlation with horizontal displacements only, as for stereo images (DispNetCorr1D, Mayer et al. 2016).

    With `single_direction` 1, displacements go from 0 to the right; with −1 to the left, where the fork starts at
    −stride_2 and goes one step beyond max_displacement, with 0 outside of the map. Padding is left and right only.
    Top: (N, D, P, Q), D = 2 ⌊max_displacement / stride_2⌋ + 1, or in a single direction ⌊…⌋ + 1.
    """

    moves = (0, 1)

    def steps(self, p: pb.CorrelationParameter) -> Sequence[int]:
        most = p.max_displacement // p.stride_2
        if p.single_direction not in (-1, 0, 1):
            raise self.error(f"single_direction is {p.single_direction}; it must be −1 (left), 0 (both) or 1 (right).")
        return {0: range(-most, most + 1), 1: range(most + 1), -1: range(-most - 1, 0)}[p.single_direction]
