"""Convolution, Deconvolution, and Im2col: what a convolution multiplies its weights with."""

from collections.abc import Sequence
from typing import ClassVar

from engine.graph import param_shapes, windows
from engine.layers.base import Array, Arrays, Context, Shape, along, count
from engine.layers.registry import layer
from engine.layers.windowed import Windowed, beside
from engine.ops.convolution import columns, convolve, deconvolve


class Weighted(Windowed):
    """A kernel with weights (from, to / group, *kernel) and a bias an output channel, shared by all bottoms."""

    precision = "low"
    transposed: ClassVar[bool]

    def read_weights(self) -> None:
        """Declares W and b, keeps the groups. Raises LayerError where channels cannot be split into groups."""
        p = self.windows
        made = param_shapes.kernels(self.node, p, self.channels, self.window.kernel)
        self.num_output, self.group = made.outputs, made.group
        self.weight = self.param("weight", made.weight, p.weight_filler)
        self.bias = self.param("bias", (made.outputs,), p.bias_filler) if p.bias_term else None

    def multiply_adds(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        """Each number of the tops, or of a Deconvolution's bottoms, meets the weights of its channel."""
        met = bottoms if self.transposed else tops
        return sum(map(count, met)) * count(self.params[self.weight].shape[1:])

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        product = deconvolve if self.transposed else convolve
        w, b = params[self.weight], None if self.bias is None else params[self.bias]
        return [self.unbatched(product(self.batched(x), w, b, self.window, self.group)) for x in bottoms]


@layer("Convolution")
class Convolution(Weighted):
    """y = W ∗ x + b for every bottom, over the axes of x behind `axis`, the channels' (cross-correlation, as in Caffe).

    Bottoms: x (d0, …, C, *in), all of one shape. Tops: y (d0, …, num_output, *out), one a bottom, with
    out = (in + 2 pad − (dilation (kernel − 1) + 1)) // stride + 1.
    Params: W (num_output, C / group, *kernel); with `bias_term`, b (num_output).
    """

    transposed = False

    def setup(self, *bottoms: Shape) -> list[Shape]:
        self.read_window(*bottoms)
        self.read_weights()
        return [(*self.lead, self.num_output, *self.fitting_outputs())] * len(bottoms)


@layer("DepthwiseConvolution")
class DepthwiseConvolution(Convolution):
    """A Convolution by another name, which its fork computes faster where group is the number of channels."""


@layer("ConvolutionDepthwise")
class ConvolutionDepthwise(Convolution):
    """A Convolution of each channel by a kernel of its own; num_output and group are not read (farmingyard's).

    Params: W (C, 1, *kernel); with `bias_term`, b (C). Tops have as many channels as their bottoms, C.
    """


@layer("Deconvolution")
class Deconvolution(Weighted):
    """y = Wᵀ ∗ x + b for every bottom: the transpose of a Convolution from num_output to C channels.

    Bottoms: x (d0, …, C, *in), all of one shape. Tops: y (d0, …, num_output, *out), one a bottom, with
    out = stride (in − 1) + dilation (kernel − 1) + 1 − 2 pad. pad_t and the like below 0 lay zeros beside it, as in
    Synopsys' Caffe.
    Params: W (C, num_output / group, *kernel); with `bias_term`, b (num_output).
    """

    transposed = True

    def setup(self, *bottoms: Shape) -> list[Shape]:
        self.read_window(*bottoms)
        self.read_weights()
        made = windows.deconvolved(self.node, self.config.convolution_param, self.window, self.spatial)
        uncut = (n + 2 * pad for n, pad in zip(made, self.window.pad, strict=True))
        self.check_size("its top, with what pad takes off,", (*self.lead, self.num_output, *uncut))
        return [(*self.lead, self.num_output, *made)] * len(bottoms)

    def batched(self, x: Array) -> Array:
        """Pads of the sides are the top's."""
        return x.reshape(count(self.lead), self.channels, *self.spatial)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        if not any(map(any, self.sides)):
            return super().forward(params, bottoms, ctx)
        off = [(-before, -behind) for before, behind in self.sides]
        tops = [deconvolve(self.batched(x), params[self.weight], None, self.window, self.group) for x in bottoms]
        bias = 0 if self.bias is None else along(params[self.bias], 1, 2 + len(self.spatial))
        return [self.unbatched(beside(y, off) + bias) for y in tops]


@layer("Im2col")
class Im2col(Windowed):
    """y = the elements under the kernel at every position, laid along the channels: channel by channel, in scan order.

    Bottom: x (d0, …, C, *in). Top: y (d0, …, C · count(kernel), *out), with `out` as a Convolution's.
    """

    def setup(self, x: Shape) -> list[Shape]:
        self.read_window(x)
        if not self.spatial:
            raise self.error(f"{self.bottom(0)} of shape {list(x)} has no axis behind axis {self.axis}, the channels'.")
        return [(*self.lead, self.channels * count(self.window.kernel), *self.fitting_outputs())]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [self.unbatched(columns(self.batched(x), self.window))]
