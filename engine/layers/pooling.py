"""Pooling, of volumes too, and SPP, spatial pyramid pooling."""

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
    """Pools the axes of x (N, C, H, W), or of a volume, behind its channels, by a method that PoolingParameter and
    SPPParameter name alike."""

    method: int

    def pool(self, x: Array, windows: Spans, ctx: Context) -> Array:
        if self.method == pb.PoolingParameter.MAX:
            return max_pool(x, windows)
        if self.method in (pb.PoolingParameter.AVE, pb.PoolingParameter.AVE_EXC_PAD):
            return average_pool(x, windows)
        return random_pool(x, windows, ctx.key) if self.phase == pb.TRAIN else weighted_pool(x, windows)


@layer("Pooling")
class Pooling(Pools):
    """y = the maximum, the average or a random element of every window of x's rows and columns.

    Bottom: x (N, C, H, W), or a volume (N, C, D, H, W), whose depth is pooled too, by its maximum or average, as in
    3D-Caffe. Top: y (N, C, H', W') or (N, C, D', H', W'); for MAX of planes a second one: where in its H · W plane each
    maximum lies, which has no gradient.
    H' = ⌈(H + 2 pad − kernel) / stride⌉ + 1, or ⌊…⌋ with `round_mode: FLOOR` or `ceil_mode: false`; with a pad, a last
    window that would start behind the image is dropped. AVE divides by the window's size within the padded image,
    AVE_EXC_PAD within the image.
    STOCHASTIC draws elements in proportion to their values in TRAIN and takes their mean, weighted by themselves, in
    TEST.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = windows.pooling(self.node)
        made = windows.of_pooling(self.node, x)
        laid = spans(x[2:], made.kernel, made.stride, made.pad, made.outputs, made.ends)
        self.spans = tuple(replace(span, inside=p.pool == pb.PoolingParameter.AVE_EXC_PAD) for span in laid)
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
    """Pooling with a kernel_size, stride and pad for all axes behind the channels, or one for each (3D-Caffe's)."""

    def setup(self, x: Shape) -> list[Shape]:
        if self.config.pooling_nd_param.axis not in (1, 1 - len(x)):
            raise self.error(f"axis is {self.config.pooling_nd_param.axis}; the channels must lie along axis 1.")
        return super().setup(x)


@layer("SPP")
class SPP(Pools):
    """y = x pooled into 1, 2 × 2, … 2^(L−1) × 2^(L−1) bins, flattened and joined: as long for every size of x.

    Bottom: x (N, C, H, W). Top: y (N, C (4^L − 1) / 3) with L = `pyramid_height`; (N, C, 1, 1) for L = 1, as in Caffe.
    Level l has kernel and stride ⌈size / 2^l⌉ along each axis, and half of what the bins exceed the size as pad.
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
    """The windows over the axes from 2 on: so many along each. ends: the pads behind, if not `pad`."""
    ends = ends or pad
    made = []
    for i in range(len(size)):
        # A window ends with the padded plane, and a single one goes no further.
        reach = min(kernel[i], size[i] + pad[i] + ends[i])
        made.append(Span(2 + i, size[i], reach, stride[i] if outputs[i] > 1 else 1, pad[i], outputs[i], ends[i]))
    return tuple(made)
