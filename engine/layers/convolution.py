"""Convolution, Deconvolution, and Im2col, which lays out what a convolution multiplies its weights with."""

from collections.abc import Sequence
from typing import ClassVar

from engine.graph import param_shapes, windows
from engine.layers.base import Array, Arrays, Context, Shape, along, count
from engine.layers.registry import layer
from engine.layers.windowed import Windowed, beside
from engine.ops.convolution import convolve, deconvolve
from engine.ops.im2col import columns


class Weighted(Windowed):
    """A layer with convolution weights and one bias per output channel, shared by all bottoms."""

    precision = "low"
    transposed: ClassVar[bool]

    def read_weights(self) -> None:
        """Declares W and b and stores the groups. Raises LayerError if the channels cannot be split into groups."""
        p = self.windows
        kernels = param_shapes.kernels(self.node, p, self.channels, self.window.kernel)
        self.num_output, self.group = kernels.outputs, kernels.group
        self.weight = self.param("weight", kernels.weight, p.weight_filler)
        self.bias = self.param("bias", (kernels.outputs,), p.bias_filler) if p.bias_term else None

    def multiply_adds(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        """Each element of the tops, or of a Deconvolution's bottoms, meets all the weights of its channel once."""
        elements = sum(map(count, bottoms if self.transposed else tops))
        return elements * count(self.params[self.weight].shape[1:])

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        product = deconvolve if self.transposed else convolve
        w, b = params[self.weight], None if self.bias is None else params[self.bias]
        return [self.unbatched(product(self.batched(x), w, b, self.window, self.group)) for x in bottoms]


@layer("Convolution")
class Convolution(Weighted):
    """y = W ∗ x + b for every bottom, over the axes of x after the channel axis, `axis` (Caffe's cross-correlation).

    Bottoms: x (d0, …, C, *in), all of one shape. Tops: y (d0, …, num_output, *out), one per bottom, with
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
    """A Convolution under another name; its fork uses it for a faster kernel when group is the number of channels."""


@layer("ConvolutionDepthwise")
class ConvolutionDepthwise(Convolution):
    """A Convolution of each channel with its own kernel; num_output and group are ignored (farmingyard's fork).

    Params: W (C, 1, *kernel); with `bias_term`, b (C). Tops have as many channels as their bottoms, C.
    """


@layer("Deconvolution")
class Deconvolution(Weighted):
    """y = Wᵀ ∗ x + b for every bottom: the transpose of a Convolution from num_output to C channels.

    Bottoms: x (d0, …, C, *in), all of one shape. Tops: y (d0, …, num_output, *out), one per bottom, with
    out = stride (in − 1) + dilation (kernel − 1) + 1 − 2 pad. pad_t, pad_b, pad_l and pad_r crop single sides; negative
    ones add zeros there, as in Synopsys' Caffe.
    Params: W (C, num_output / group, *kernel); with `bias_term`, b (num_output).
    """

    transposed = True

    def setup(self, *bottoms: Shape) -> list[Shape]:
        self.read_window(*bottoms)
        self.read_weights()
        outputs = windows.deconvolved(self.node, self.config.convolution_param, self.window, self.spatial)
        uncut = (n + 2 * pad for n, pad in zip(outputs, self.window.pad, strict=True))
        self.check_size("its top, before pad crops it,", (*self.lead, self.num_output, *uncut))
        return [(*self.lead, self.num_output, *outputs)] * len(bottoms)

    def batched(self, x: Array) -> Array:
        """As in the base class but not padded: here the padding of the sides applies to the top."""
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
    """y = the elements under the kernel at every position, stacked along the channel axis by channel, in scan order.

    Bottom: x (d0, …, C, *in). Top: y (d0, …, C · count(kernel), *out), with `out` as for Convolution.
    """

    def setup(self, x: Shape) -> list[Shape]:
        self.read_window(x)
        if not self.spatial:
            raise self.error(f"{self.bottom(0)} of shape {list(x)} has no axis after the channel axis, {self.axis}.")
        return [(*self.lead, self.channels * count(self.window.kernel), *self.fitting_outputs())]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [self.unbatched(columns(self.batched(x), self.window))]
