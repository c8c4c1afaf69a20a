"""SPP: spatial pyramid pooling (He et al., 2014)."""

import jax.numpy as jnp

from engine.layers.base import Shape
from engine.layers.pooling import PoolsPlanes, spans
from engine.layers.registry import layer
from engine.layers.windowed import by
from engine.ops.pooling import Windows


@layer("SPP")
class SPP(PoolsPlanes):
    """y = x pooled into 1, 2 × 2, … 2^(L−1) × 2^(L−1) bins, flattened and joined: as long for every size of x.

    Bottom: x (N, C, H, W). Top: y (N, C (4^L − 1) / 3) with L = `pyramid_height`; (N, C, 1, 1) for L = 1, as in Caffe.
    Level l has kernel and stride ⌈size / 2^l⌉ along each axis, and half of what the bins exceed the size as pad.
    """

    def setup(self, x: Shape) -> list[Shape]:
        height = self.config.spp_param.pyramid_height
        if not height:
            raise self.error("spp_param needs pyramid_height of 1 or more.")
        if len(x) != 4 or 0 in x[2:]:
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; SPP takes 4 axes: num, channels, height, width.")
        self.levels = [self._level(x, level) for level in range(height)]
        if height == 1:
            return [(x[0], x[1], 1, 1)]
        return [(x[0], x[1] * sum(rows.outputs * columns.outputs for rows, columns in self.levels))]

    def _level(self, x: Shape, level: int) -> Windows:
        p = self.config.spp_param
        bins = 2**level
        kernel = tuple(-(-size // bins) for size in x[2:])
        pad = tuple((k * bins - size + 1) // 2 for k, size in zip(kernel, x[2:], strict=True))
        if any(a >= k for a, k in zip(pad, kernel, strict=True)):
            raise self.error(
                f"{self.bottom(0)} of {by(x[2:])} cannot be pooled into {bins} × {bins} bins: kernel {by(kernel)} "
                f"would need pad {by(pad)}. Give pyramid_height: {level}."
            )
        if any(pad) and p.pool == p.STOCHASTIC:
            raise self.error(f"STOCHASTIC pooling takes no pad, which {bins} × {bins} bins of {by(x[2:])} need.")
        return spans(x[2:], kernel, kernel, pad)

    def forward(self, params, bottoms, ctx):
        (x,) = bottoms
        pooled = [self.pool(x, windows, self.config.spp_param.pool, ctx) for windows in self.levels]
        if len(pooled) == 1:
            return pooled
        return [jnp.concatenate([level.reshape(x.shape[0], -1) for level in pooled], axis=1)]
