"""DeformableConvolution: a convolution whose kernel samples where a second bottom says (Dai et al. 2017)."""

import jax.numpy as jnp

from engine.graph.windows import by
from engine.layers.base import Array, Arrays, Context, Shape, along, count
from engine.layers.convolution import Weighted
from engine.layers.registry import layer
from engine.ops.window import Window
from engine.proto import caffe_pb2 as pb


@layer("DeformableConvolution")
class DeformableConvolution(Weighted):
    """y = W ∗ x + b, where each tap of the kernel is moved by its own offset and x is interpolated bilinearly there.

    Positions outside of x count as 0; up to one pixel after the last row or column, x has the values of that row or
    column. Bottoms: x (N, C, H, W); offsets (N, 2 · deformable_group · kernel, H', W'): the row and column offset of
    each tap, for each deformable group of channels. Top: y (N, num_output, H', W').
    Params: W (num_output, C / group, *kernel); with `bias_term`, b (num_output).
    """

    bottoms = (2, 2)
    transposed = False

    @property
    def windows(self) -> pb.DeformableConvolutionParameter:
        return self.config.deformable_convolution_param

    def setup(self, x: Shape, offsets: Shape) -> list[Shape]:
        p = self.windows
        self.read_window(x)
        if len(x) != 4 or self.axis != 1:
            raise self.error(
                f"{self.bottom(0)} has shape {list(x)} and axis is {p.axis}; they must be N × C × H × W and 1."
            )
        self.read_weights()
        self.moved = p.deformable_group
        if not self.moved or x[1] % self.moved:
            raise self.error(
                f"the {x[1]} channels of {self.bottom(0)} do not split into deformable_group: {self.moved}."
            )
        outputs = self.fitting_outputs()
        expected = (x[0], 2 * self.moved * count(self.window.kernel), *outputs)
        if offsets != expected:
            raise self.error(
                f"{self.bottom(1)} has shape {list(offsets)}; a {by(self.window.kernel)} kernel in {self.moved} "
                f"deformable groups needs {list(expected)}."
            )
        return [(x[0], self.num_output, *outputs)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, offsets = bottoms
        n, c, *_ = x.shape
        taps = count(self.window.kernel)
        outputs = offsets.shape[2:]
        moves = offsets.reshape(n, self.moved, taps, 2, *outputs)
        rows, columns = _grid(self.window, outputs)
        samples = _sampled(
            x.reshape(n, self.moved, c // self.moved, *x.shape[2:]),
            moves[:, :, :, 0] + rows,
            moves[:, :, :, 1] + columns,
        )
        samples = samples.reshape(n, self.group, c // self.group * taps, -1)
        w = params[self.weight].reshape(self.group, self.num_output // self.group, -1)
        y = jnp.einsum("gmk,ngkp->ngmp", w, samples).reshape(n, self.num_output, *outputs)
        return [y if self.bias is None else y + along(params[self.bias], 1, y.ndim)]


def _grid(window: Window, outputs: Shape) -> tuple[Array, Array]:
    """The rows and the columns (taps, H', W') of the taps of an undeformed kernel."""
    starts = [jnp.arange(o) * s - p for o, s, p in zip(outputs, window.stride, window.pad, strict=True)]
    steps = [jnp.arange(k) * d for k, d in zip(window.kernel, window.dilation, strict=True)]
    shape = (*window.kernel, *outputs)
    rows = jnp.broadcast_to(steps[0][:, None, None, None] + starts[0][:, None], shape)
    columns = jnp.broadcast_to(steps[1][:, None, None] + starts[1], shape)
    return rows.reshape(-1, *outputs), columns.reshape(-1, *outputs)


def _sampled(x: Array, rows: Array, columns: Array) -> Array:
    """x (N, G, C, H, W) at rows and columns (N, G, taps, H', W'), bilinearly interpolated: (N, G, C, taps, H', W')."""
    height, width = x.shape[3:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    rows, columns = jnp.clip(rows, 0, height - 1), jnp.clip(columns, 0, width - 1)
    top, left = (jnp.clip(jnp.floor(v).astype(jnp.int32), 0) for v in (rows, columns))
    flat = x.reshape(*x.shape[:3], x.shape[3] * x.shape[4])

    def at(row: Array, column: Array) -> Array:
        index = jnp.minimum(row, height - 1) * width + jnp.minimum(column, width - 1)
        values = jnp.take_along_axis(flat, index.reshape(*index.shape[:2], 1, -1), axis=-1)
        return values.reshape(*flat.shape[:3], *index.shape[2:])

    down, right = ((v - low)[:, :, None] for v, low in ((rows, top), (columns, left)))
    upper = at(top, left) * (1 - right) + at(top, left + 1) * right
    lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
    return jnp.where(inside[:, :, None], upper * (1 - down) + lower * down, 0)
