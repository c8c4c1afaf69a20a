"""What the layers that move a kernel over space have in common: `convolution_param`, read and checked."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from engine.graph import fits, windows
from engine.layers.base import Array, Layer, Shape, count
from engine.proto import caffe_pb2 as pb


class Windowed(Layer):
    """Reads `convolution_param`: where the channels are, and how the kernel moves over the axes behind them."""

    @property
    def windows(self) -> pb.ConvolutionParameter | pb.DeformableConvolutionParameter:
        """The block that says how the kernel moves."""
        return self.config.convolution_param

    def read_window(self, *bottoms: Shape) -> None:
        """Keeps the channels' axis and the window. Raises LayerError where options contradict or bottoms differ."""
        p, x = self.windows, fits.alike(self.node, bottoms)
        self.axis = self.canonical_axis(p.axis, x)
        self.lead, (self.channels, *rest) = x[: self.axis], x[self.axis :]
        self.spatial = tuple(rest)
        self.window = windows.of_convolution(self.node, p, len(self.spatial))
        self.sides = windows.sides(self.node, p, len(self.spatial))
        self.padded = windows.padded(self.node, p, self.spatial)

    def fitting_outputs(self) -> Shape:
        """The spatial shape of the outputs; what the bottom lacks for one is laid behind it.

        Raises LayerError where the kernel is larger than the padded bottom by a stride or more.
        """
        outputs = windows.fitting_outputs(self.node, self.window, self.padded)
        missing = windows.lacking(self.window, self.padded)
        self.sides = [(before, behind + n) for (before, behind), n in zip(self.sides, missing, strict=True)]
        self.padded = tuple(size + n for size, n in zip(self.padded, missing, strict=True))
        padded = (size + 2 * pad for size, pad in zip(self.padded, self.window.pad, strict=True))
        self.check_size(f"its {self.bottom(0)}, padded,", (*self.lead, self.channels, *padded))
        return outputs

    def batched(self, x: Array) -> Array:
        """x (N, C, *in): the axes before the channels made one, and padded where the sides have pads of their own."""
        return beside(x.reshape(count(self.lead), self.channels, *self.spatial), self.sides)

    def unbatched(self, y: Array) -> Array:
        """y (N, …) with the axes before the channels as they were."""
        return y.reshape(*self.lead, *y.shape[1:])


def beside(x: Array, pads: Sequence[tuple[int, int]]) -> Array:
    """x (N, C, *in) with so many zeros before and behind each axis of `in`; without so many values where below 0."""
    if not any(map(any, pads)):
        return x
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *((a, b, 0) for a, b in pads)])
