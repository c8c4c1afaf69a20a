"""Window: how a kernel moves over the spatial axes of a convolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Window:
    """One entry per spatial axis, in elements."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, ...]:
        """The number of elements that a kernel spans, including those between its taps."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def dense(self) -> "Window":
        """The same kernel at every position (stride 1) of an input that is already padded."""
        ones = (1,) * len(self.kernel)
        return replace(self, stride=ones, pad=(0,) * len(ones))

    def transposed_pads(self, inputs: Sequence[int], outputs: Sequence[int]) -> list[tuple[int, int, int]]:
        """For each axis, the zeros to put before, after and between the outputs' gradients, so that the dense
        convolution of these with the flipped kernel is the inputs' gradient; negative numbers cut."""
        return [
            (extent - 1 - pad, n + pad - (m - 1) * stride - 1, stride - 1)
            for extent, pad, n, m, stride in zip(self.extent, self.pad, inputs, outputs, self.stride, strict=True)
        ]

    def outputs(self, inputs: Sequence[int]) -> tuple[int, ...]:
        """The number of positions of the kernel in a padded input; less than 1 if it does not fit."""
        sizes = zip(inputs, self.extent, self.stride, self.pad, strict=True)
        return tuple((n + 2 * p - e) // s + 1 for n, e, s, p in sizes)

    def inputs(self, outputs: Sequence[int]) -> tuple[int, ...]:
        """The smallest input with these outputs, which is what a deconvolution makes of them."""
        sizes = zip(outputs, self.extent, self.stride, self.pad, strict=True)
        return tuple(s * (n - 1) + e - 2 * p for n, e, s, p in sizes)
