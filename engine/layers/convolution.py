"""Convolution and Deconvolution."""

from engine.layers.base import Array, Shape, along, layer
from engine.layers.windowed import Windowed, by
from engine.ops.convolution import convolve, deconvolve


class Weighted(Windowed):
    """Convolution and Deconvolution: weights of shape (from, to / group, *kernel), and a bias an output channel."""

    def read_weights(self, transposed: bool) -> None:
        """Declares W and b. Raises LayerError where channels cannot be split into groups."""
        p = self.config.convolution_param
        if not p.num_output:
            raise self.error("convolution_param needs num_output of 1 or more.")
        if not p.group:
            raise self.error("group is 0; it must be 1 or more.")
        for what, n in (
            (f"the {self.channels} channels of {self.bottom(0)}", self.channels),
            (f"num_output {p.num_output}", p.num_output),
        ):
            if n % p.group:
                raise self.error(f"{what} cannot be split into group: {p.group}; it must be a multiple of it.")
        made, read = (self.channels, p.num_output) if transposed else (p.num_output, self.channels)
        self.weight = self.param("weight", (made, read // p.group, *self.window.kernel), p.weight_filler)
        self.bias = self.param("bias", (p.num_output,), p.bias_filler) if p.bias_term else None

    def add_bias(self, y: Array, params) -> Array:
        return y if self.bias is None else y + along(params[self.bias], 1, y.ndim)


@layer("Convolution")
class Convolution(Weighted):
    """y = W ∗ x + b for every bottom, over the axes of x behind `axis`, the channels' (cross-correlation, as in Caffe).

    Bottoms: x (d0, …, C, *in), all of one shape. Tops: y (d0, …, num_output, *out), one a bottom, with
    out = (in + 2 pad − (dilation (kernel − 1) + 1)) // stride + 1.
    Params: W (num_output, C / group, *kernel); with `bias_term`, b (num_output).
    """

    def setup(self, *bottoms: Shape) -> list[Shape]:
        self.read_window(*bottoms)
        self.read_weights(transposed=False)
        return [(*self.lead, self.config.convolution_param.num_output, *self.check_fit())] * len(bottoms)

    def forward(self, params, bottoms, ctx):
        group = self.config.convolution_param.group
        ys = [
            self.add_bias(convolve(self.batched(x), params[self.weight], self.window, group), params) for x in bottoms
        ]
        return [y.reshape(*self.lead, *y.shape[1:]) for y in ys]


@layer("Deconvolution")
class Deconvolution(Weighted):
    """The transpose of a Convolution from num_output to C channels: y = Wᵀ ∗ x + b for every bottom.

    Bottoms: x (d0, …, C, *in), all of one shape. Tops: y (d0, …, num_output, *out), one a bottom, with
    out = stride (in − 1) + dilation (kernel − 1) + 1 − 2 pad.
    Params: W (C, num_output / group, *kernel); with `bias_term`, b (num_output).
    """

    def setup(self, *bottoms: Shape) -> list[Shape]:
        self.read_window(*bottoms)
        self.read_weights(transposed=True)
        made = self.window.inputs(self.spatial)
        if any(n < 1 for n in made):
            raise self.error(
                f"pad {by(self.window.pad)} leaves nothing of {self.bottom(0)} of {by(self.spatial)}: its top would be "
                f"{by(made)}. Give it less pad, or a larger kernel_size or stride."
            )
        return [(*self.lead, self.config.convolution_param.num_output, *made)] * len(bottoms)

    def forward(self, params, bottoms, ctx):
        group = self.config.convolution_param.group
        ys = [
            self.add_bias(deconvolve(self.batched(x), params[self.weight], self.window, group), params) for x in bottoms
        ]
        return [y.reshape(*self.lead, *y.shape[1:]) for y in ys]
