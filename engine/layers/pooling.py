"""Pooling of planes and volumes, and SPP, spatial pyramid pooling."""

from dataclasses import replace

import jax.numpy as jnp

from engine.graph import windows
from engine.graph.windows import by
from engine.layers.base import Array, Arrays, Context, Layer, Shape, rows
from engine.layers.registry import layer
from engine.ops.pooling import Spans, average_pool, first_maximum, max_pool, random_pool, weighted_pool
from engine.ops.span import Span
from engine.proto import caffe_pb2 as pb


class Pools(Layer):
    """Pools the spatial axes of x (N, C, H, W), or of a volume. PoolingParameter and SPPParameter number the methods
    alike."""

    method: int

    def pool(self, x: Array, windows: Spans, ctx: Context) -> Array:
        if self.method == pb.PoolingParameter.MAX:
            return max_pool(x, windows)
        if self.method in (pb.PoolingParameter.AVE, pb.PoolingParameter.AVE_EXC_PAD):
            return average_pool(x, windows)
        return random_pool(x, windows, ctx.key) if self.phase == pb.TRAIN else weighted_pool(x, windows)


@layer("Pooling")
class Pooling(Pools):
    """y = the maximum, the average or a random element of every window of x.

    Bottom: x (N, C, H, W), or a volume (N, C, D, H, W), pooled along its depth too, by maximum or average only, as in
    3D-Caffe. Top: y (N, C, H', W') or (N, C, D', H', W'). MAX over planes can have a second top, without gradient: the
    index of each maximum in its H · W plane.
    H' = ⌈(H + 2 pad − kernel) / stride⌉ + 1, or ⌊…⌋ with `round_mode: FLOOR` or `ceil_mode: false`. With padding, a
    last window that would start beyond the image is dropped. AVE divides by the size of the window inside the padded
    image, AVE_EXC_PAD by its size inside the image.
    STOCHASTIC draws an element with probability proportional to its value in TRAIN, and takes the mean of the elements,
    weighted by their own values, in TEST.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = windows.pooling(self.node)
        geometry = windows.of_pooling(self.node, x)
        own = spans(x[2:], geometry.kernel, geometry.stride, geometry.pad, geometry.outputs, geometry.ends)
        self.spans = tuple(replace(span, inside=p.pool == pb.PoolingParameter.AVE_EXC_PAD) for span in own)
        self.check_size(f"its {self.bottom(0)}, padded,", (x[0], x[1], *(max(s.padded, s.size) for s in self.spans)))
        self.method = p.pool
        if len(self.config.top) == 1:
            self.precision = "given" if p.pool == pb.PoolingParameter.MAX else "mixed"
        return [(x[0], x[1], *(span.outputs for span in self.spans))] * len(self.config.top)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        tops = [self.pool(x, self.spans, ctx)]
        return tops if len(self.top_shapes) == 1 else [*tops, first_maximum(x, self.spans)]


@layer("PoolingND")
class PoolingND(Pooling):
    """Pooling whose kernel_size, stride and pad are given once for all spatial axes or once per axis (3D-Caffe)."""

    def setup(self, x: Shape) -> list[Shape]:
        if self.config.pooling_nd_param.axis not in (1, 1 - len(x)):
            raise self.error(f"axis is {self.config.pooling_nd_param.axis}; the channels must lie along axis 1.")
        return super().setup(x)


@layer("SPP")
class SPP(Pools):
    """y = x pooled into 1, 2 × 2, … 2^(L−1) × 2^(L−1) bins, flattened and concatenated: one length for any size of x.

    Bottom: x (N, C, H, W). Top: y (N, C (4^L − 1) / 3) with L = `pyramid_height`; (N, C, 1, 1) for L = 1, as in Caffe.
    Level l has kernel and stride ⌈size / 2^l⌉ along each axis. Its pad is half of what the bins together exceed the
    size by.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.spp_param
        self.method, height = p.pool, p.pyramid_height
        if not height:
            raise self.error("spp_param needs pyramid_height of 1 or more.")
        if len(x) != 4 or 0 in x[2:]:
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; SPP takes 4 axes: num, channels, height, width.")
        self.levels = [self._level(x, level) for level in range(height)]
        if height == 1:
            return [(x[0], x[1], 1, 1)]
        return [(x[0], x[1] * sum(rows.outputs * columns.outputs for rows, columns in self.levels))]

    def _level(self, x: Shape, level: int) -> Spans:
        bins = 2**level
        kernel = tuple(-(-size // bins) for size in x[2:])
        pad = tuple((k * bins - size + 1) // 2 for k, size in zip(kernel, x[2:], strict=True))
        if any(a >= k for a, k in zip(pad, kernel, strict=True)):
            raise self.error(
                f"{self.bottom(0)} of {by(x[2:])} cannot be pooled into {bins} × {bins} bins: kernel {by(kernel)} "
                f"would need pad {by(pad)}. Give pyramid_height: {level}."
            )
        if any(pad) and self.method == pb.SPPParameter.STOCHASTIC:
            raise self.error(f"STOCHASTIC pooling takes no pad, which {bins} × {bins} bins of {by(x[2:])} need.")
        return spans(x[2:], kernel, kernel, pad, windows.pool_outputs(x[2:], kernel, kernel, pad))

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        pooled = [self.pool(x, windows, ctx) for windows in self.levels]
        if len(pooled) == 1:
            return pooled
        return [jnp.concatenate([rows(level) for level in pooled], axis=1)]


def spans(size: Shape, kernel: Shape, stride: Shape, pad: Shape, outputs: Shape, ends: Shape | None = None) -> Spans:
    """The windows over the spatial axes, which start at axis 2. ends: the padding at the ends, if other than `pad`."""
    ends = ends or pad
    windows_by_axis = []
    for i in range(len(size)):
        # No window reaches beyond the padded plane; a single window does not move, whatever the stride.
        reach = min(kernel[i], size[i] + pad[i] + ends[i])
        windows_by_axis.append(
            Span(2 + i, size[i], reach, stride[i] if outputs[i] > 1 else 1, pad[i], outputs[i], ends[i])
        )
    return tuple(windows_by_axis)
