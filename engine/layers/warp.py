"""Layers that sample an image at other positions: FlowWarp, Warp with its Grid, SpatialTransformer."""

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer
from engine.ops.sampling import bilinear


@layer("FlowWarp")
class FlowWarp(Layer):
    """y[i, j] = x[i + v, j + u], bilinearly interpolated, or `fill_value` (0 or NaN) outside of x (FlowNet 2.0).

    Bottoms: x (N, C, H, W); the flow (N, 2, H, W): u, then v, in pixels. Top: y, of x's shape.
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, flow: Shape) -> list[Shape]:
        _check_places(self, x, flow)
        p = self.config.flow_warp_param
        self.fill = 0.0 if p.fill_value == p.ZERO else float("nan")
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, flow = bottoms
        height, width = x.shape[2:]
        down = jnp.arange(height, dtype=flow.dtype)[:, None] + flow[:, 1]
        across = jnp.arange(width, dtype=flow.dtype) + flow[:, 0]
        inside = (down >= 0) & (down < height) & (across >= 0) & (across < width)
        down, across = jnp.where(inside, down, 0), jnp.where(inside, across, 0)
        return [jnp.where(inside[:, None], bilinear(x, down, across, zero_outside=False), self.fill)]


@layer("Warp")
class Warp(Layer):
    """y[i, j] = x[v, u], bilinearly interpolated, 0 outside of x (LiteFlowNet).

    Bottoms: x (N, C, H, W); the places (N, 2, H, W): u, then v, in pixels. Top: y, of x's shape.
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, places: Shape) -> list[Shape]:
        _check_places(self, x, places)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, places = bottoms
        return [bilinear(x, places[:, 1], places[:, 0], zero_outside=True)]


@layer("Grid")
class Grid(Layer):
    """The place of each pixel, for Warp: its column, then its row. Bottom: (N, C, H, W). Top: (N, 2, H, W)."""

    no_gradient = (0,)

    def setup(self, x: Shape) -> list[Shape]:
        fits.planes(self.node, x)
        return [(x[0], 2, *x[2:])]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        top = self.top_shapes[0]
        rows, columns = jnp.indices(top[2:], bottoms[0].dtype)
        return [jnp.broadcast_to(jnp.stack([columns, rows]), top)]


def _check_places(of: Layer, x: Shape, places: Shape) -> None:
    """Raises LayerError unless the second bottom holds two numbers for each pixel of the first."""
    if len(x) != 4 or places != (x[0], 2, *x[2:]):
        raise of.error(
            f"{of.bottom(0)} has shape {list(x)} and {of.bottom(1)} {list(places)}; they must be of shapes "
            "(N, C, H, W) and (N, 2, H, W)."
        )


@layer("SpatialTransformer")
class SpatialTransformer(Layer):
    """y = x sampled at affinely transformed positions, bilinearly interpolated, 0 outside of x (Jaderberg et al. 2015).

    Position (r, s) of y, vertical and horizontal, each from −1 to just below 1, is read from x at
    (θ₁₁ r + θ₁₂ s + θ₁₃, θ₂₁ r + θ₂₂ s + θ₂₃), in the same coordinates. Without `to_compute_dU`, x gets no gradient.
    Bottoms: x (N, C, H, W); those of θ₁₁ … θ₂₃ that st_param does not give, (N, …). Top: y (N, C, output_H, output_W).
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, theta: Shape) -> list[Shape]:
        p = self.config.st_param
        for field, only in (("transform_type", "affine"), ("sampler_type", "bilinear")):
            if getattr(p, field) != only:
                raise self.error(f'{field} is "{getattr(p, field)}"; it must be "{only}".')
        fits.planes(self.node, x)
        names = [f"theta_{i}_{j}" for i in (1, 2) for j in (1, 2, 3)]
        self.fixed = {k: getattr(p, field) for k, field in enumerate(names) if p.HasField(field)}
        if theta[:1] != x[:1] or count(theta[1:]) != 6 - len(self.fixed):
            raise self.error(
                f"{self.bottom(1)} of shape {list(theta)} must have {6 - len(self.fixed)} values for each of the "
                f"{x[0]} items of {self.bottom(0)}: 6, minus the {len(self.fixed)} theta of st_param."
            )
        height, width = (
            getattr(p, f) if p.HasField(f) else n for f, n in zip(("output_H", "output_W"), x[2:], strict=True)
        )
        if min(height, width) < 1:
            raise self.error(f"output_H and output_W are {height} and {width}; both must be 1 or more.")
        self.size, self.to_x = (height, width), p.to_compute_dU
        return [(*x[:2], height, width)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, theta = bottoms if self.to_x else (stop_gradient(bottoms[0]), bottoms[1])
        learned = iter(theta.reshape(theta.shape[0], count(theta.shape[1:])).T)
        values = [self.fixed[k] if k in self.fixed else next(learned)[:, None, None] for k in range(6)]
        rows, columns = (np.arange(n, dtype=np.float64) / n * 2 - 1 for n in self.size)
        r, s = rows[:, None].astype(np.float32), columns.astype(np.float32)
        shape = (x.shape[0], *self.size)
        at = [jnp.broadcast_to(values[i] * r + values[i + 1] * s + values[i + 2], shape) for i in (0, 3)]
        down, across = ((v + 1) / 2 * n for v, n in zip(at, x.shape[2:], strict=True))
        return [bilinear(x, down, across, zero_outside=True)]
