"""The base of the layers that slide a kernel over space: reads and checks `convolution_param`."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from engine.graph import fits, windows
from engine.layers.base import Array, Layer, Shape, count
from engine.proto import caffe_pb2 as pb


class Windowed(Layer):
    """Reads `convolution_param`: which axis holds the channels, and how the kernel moves over the axes after it."""

    @property
    def windows(self) -> pb.ConvolutionParameter | pb.DeformableConvolutionParameter:
        """The configuration block that describes the kernel and its movement."""
        return self.config.convolution_param

    def read_window(self, *bottoms: Shape) -> None:
        """Stores the channel axis and the window. Raises LayerError for contradictory options or unequal shapes."""
        p, x = self.windows, fits.alike(self.node, bottoms)
        self.axis = self.canonical_axis(p.axis, x)
        self.lead, (self.channels, *rest) = x[: self.axis], x[self.axis :]
        self.spatial = tuple(rest)
        self.window = windows.of_convolution(self.node, p, len(self.spatial))
        self.sides = windows.sides(self.node, p, len(self.spatial))
        self.padded = windows.padded(self.node, p, self.spatial)

    def fitting_outputs(self) -> Shape:
        """Returns the spatial shape of the outputs. Extends the padding at the end if the bottom is too small for one.

        Raises LayerError if the kernel exceeds the padded bottom by a stride or more.
        """
        outputs = windows.fitting_outputs(self.node, self.window, self.padded)
        missing = windows.lacking(self.window, self.padded)
        self.sides = [(before, behind + n) for (before, behind), n in zip(self.sides, missing, strict=True)]
        self.padded = tuple(size + n for size, n in zip(self.padded, missing, strict=True))
        padded = (size + 2 * pad for size, pad in zip(self.padded, self.window.pad, strict=True))
        self.check_size(f"its {self.bottom(0)}, padded,", (*self.lead, self.channels, *padded))
        return outputs

    def batched(self, x: Array) -> Array:
        """x as (N, C, *in): the axes before the channels merged into one, with the per-side padding applied."""
        return beside(x.reshape(count(self.lead), self.channels, *self.spatial), self.sides)

    def unbatched(self, y: Array) -> Array:
        """y (N, …) with the axes before the channels restored."""
        return y.reshape(*self.lead, *y.shape[1:])


def beside(x: Array, pads: Sequence[tuple[int, int]]) -> Array:
    """x (N, C, *in) with `pads` zeros before and after each axis of `in`; a negative number crops instead."""
    if not any(map(any, pads)):
        return x
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *((a, b, 0) for a, b in pads)])
