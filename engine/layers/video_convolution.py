"""C3D's convolution, its transpose, and pooling over length, rows and columns (N, C, L, H, W) (Tran et al. 2015)."""

from collections.abc import Sequence
from typing import ClassVar

from engine.graph import fits
from engine.graph.windows import by
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer
from engine.ops.convolution import convolve, deconvolve
from engine.ops.pooling import average_pool, max_pool_to_all
from engine.ops.span import Span
from engine.ops.window import Window


class VideoWindowed(Layer):
    """The base of both convolutions: a kernel of kernel_depth frames, and kernel_size rows and columns."""

    precision = "low"
    transposed: ClassVar[bool]

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.convolution3d_param
        check_video(self, x)
        self.window = Window(
            kernel=(p.kernel_depth, p.kernel_size, p.kernel_size),
            stride=(p.temporal_stride, p.stride, p.stride),
            pad=(p.temporal_pad, p.pad, p.pad),
            dilation=(1, 1, 1),
        )
        if 0 in self.window.kernel or 0 in self.window.stride:
            raise self.error("convolution3d_param needs kernel_depth, kernel_size and strides of 1 or more.")
        outputs = self.window.inputs(x[2:]) if self.transposed else self.window.outputs(x[2:])
        if min(outputs) < 1:
            raise self.error(
                f"a {by(self.window.kernel)} kernel with pad {by(self.window.pad)} makes {by(outputs)} of its "
                f"{self.bottom(0)} of {by(x[2:])}: length, rows, columns. Give it another pad or kernel."
            )
        n = fits.outputs(self.node, "convolution3d_param", p.num_output)
        outer, inner = (x[1], n) if self.transposed else (n, x[1])
        self.weight = self.param("weight", (outer, inner, *self.window.kernel), p.weight_filler)
        # C3D reads bias_term of a Deconvolution3D from the block of the two-dimensional layer.
        has_bias = self.config.convolution_param.bias_term if self.transposed else p.bias_term
        self.bias = self.param("bias", (1, 1, 1, 1, n), p.bias_filler) if has_bias else None
        return [(x[0], n, *outputs)]

    def multiply_adds(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        elements = sum(map(count, bottoms if self.transposed else tops))
        return elements * count(self.params[self.weight].shape[1:])

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        product = deconvolve if self.transposed else convolve
        b = None if self.bias is None else params[self.bias].reshape(-1)
        return [product(bottoms[0], params[self.weight], b, self.window, 1)]


@layer("Convolution3D")
class Convolution3D(VideoWindowed):
    """y = W ∗ x + b over length, rows and columns; `group` and filter_group are ignored.

    Bottom: x (N, C, L, H, W). Top: y (N, num_output, L', H', W'), each (in + 2 pad − kernel) // stride + 1.
    Params: W (num_output, C, kernel_depth, kernel_size, kernel_size); with `bias_term`, b (1, 1, 1, 1, num_output).
    """

    transposed = False


@layer("Deconvolution3D")
class Deconvolution3D(VideoWindowed):
    """The transpose of a Convolution3D from num_output to C channels; each side is stride (in − 1) + kernel − 2 pad.

    Params: W (C, num_output, kernel_depth, kernel_size, kernel_size), b (1, 1, 1, 1, num_output).
    """

    transposed = True


@layer("Pooling3D")
class Pooling3D(Layer):
    """y = the maximum or the average of every window of kernel_depth frames, and kernel_size rows and columns.

    Windows begin inside the video and may extend beyond it. The gradient of a maximum goes to all elements equal to it.
    AVE divides by the window's size within the padded video, which is not padded along its length.
    Bottom: x (N, C, L, H, W). Top: y (N, C, L', H', W'), each ⌈(in + 2 pad − kernel) / stride⌉ + 1.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.pooling3d_param
        check_video(self, x)
        if p.pool == p.STOCHASTIC:
            raise self.error("pool: STOCHASTIC does not exist in C3D either; use MAX or AVE.")
        if p.pad and p.pool == p.MAX:
            raise self.error(f"pad is {p.pad}; C3D pads only averages: leave it out, or use pool: AVE.")
        kernel = (p.kernel_depth, p.kernel_size, p.kernel_size)
        stride = (p.temporal_stride, p.stride, p.stride)
        if 0 in kernel or 0 in stride:
            raise self.error("pooling3d_param needs kernel_depth, kernel_size and strides of 1 or more.")
        sizes = zip(x[2:], kernel, stride, (0, p.pad, p.pad), strict=True)
        spans = [Span(2 + i, n, k, s, pad, -((k - n - 2 * pad) // s) + 1) for i, (n, k, s, pad) in enumerate(sizes)]
        outputs = tuple(span.outputs for span in spans)
        if any(o < 1 or (o - 1) * s.stride >= s.size + s.pad for o, s in zip(outputs, spans, strict=True)):
            raise self.error(f"{by(kernel)} windows do not fit {self.bottom(0)} of {by(x[2:])}: length, rows, columns.")
        self.spans, self.maximum = tuple(spans), p.pool == p.MAX
        return [(*x[:2], *outputs)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [max_pool_to_all(x, self.spans) if self.maximum else average_pool(x, self.spans)]


def check_video(node: Layer, x: Shape) -> None:
    """Raises LayerError unless the bottom is a video."""
    if len(x) != 5:
        raise node.error(f"{node.bottom(0)} has shape {list(x)}; it must be (num, channels, length, height, width).")
