"""What the layers that move a kernel over space have in common: `convolution_param`, read and checked."""

from engine.layers.base import Array, Layer, Shape, count
from engine.ops.window import Window
from engine.proto import caffe_pb2 as pb


class Windowed(Layer):
    """Reads `convolution_param`: where the channels are, and how the kernel moves over the axes behind them."""

    @property
    def windows(self) -> pb.ConvolutionParameter | pb.DeformableConvolutionParameter:
        """The block that says how the kernel moves."""
        return self.config.convolution_param

    def read_window(self, *bottoms: Shape) -> None:
        """Keeps the channels' axis and the window. Raises LayerError where options contradict or bottoms differ."""
        for i, shape in enumerate(bottoms):
            if shape != bottoms[0]:
                raise self.error(
                    f"{self.bottom(i)} has shape {list(shape)} and {self.bottom(0)} has {list(bottoms[0])}; "
                    "all bottoms share the weights and must have one shape."
                )
        p = self.windows
        self.axis = self.canonical_axis(p.axis, bottoms[0])
        self.lead, (self.channels, *rest) = bottoms[0][: self.axis], bottoms[0][self.axis :]
        self.spatial = tuple(rest)
        self.window = Window(
            kernel=self._option("kernel_size", "kernel"),
            stride=self._option("stride", "stride", default=1),
            pad=self._option("pad", "pad", default=0, least=0),
            dilation=self._option("dilation", None, default=1),
        )

    def _option(self, field: str, pair: str | None, *, default: int | None = None, least: int = 1) -> tuple[int, ...]:
        """One value a spatial axis, from the repeated `field` or from `pair`_h and `pair`_w."""
        p = self.windows
        axes, given = len(self.spatial), tuple(getattr(p, field))
        hw = (f"{pair}_h", f"{pair}_w")
        if pair and any(p.HasField(name) for name in hw):
            if given:
                raise self.error(f"{field} and {hw[0]}, {hw[1]} are both given; keep one or the other.")
            if axes != 2:
                raise self.error(f"{hw[0]} and {hw[1]} are for 2 spatial axes, here are {axes}; give {field} an axis.")
            given = tuple(getattr(p, name) for name in hw)
        elif not given and default is not None:
            given = (default,)
        elif not given and axes:
            raise self.error(f"convolution_param needs {field}, or {hw[0]} and {hw[1]}.")
        if len(given) not in (1, axes):
            raise self.error(
                f"{len(given)} values of {field} for {axes} spatial axes; give one for all, or one an axis."
            )
        if any(v < least for v in given):
            raise self.error(f"{field} is {by(given)}; it must be {least} or more along every axis.")
        return given if len(given) == axes else given[:1] * axes

    def fitting_outputs(self) -> Shape:
        """The spatial shape of the outputs. Raises LayerError where the kernel is larger than the padded bottom."""
        extents = zip(self.window.extent, self.spatial, self.window.pad, strict=True)
        if any(extent > size + 2 * pad for extent, size, pad in extents):
            w = self.window
            dilated = f" with dilation {same(w.dilation)} spans {by(w.extent)} and" if set(w.dilation) - {1} else ""
            raise self.error(
                f"a {by(w.kernel)} kernel{dilated} does not fit its {self.bottom(0)} of {by(self.spatial)} with "
                f"pad {same(w.pad)}.\nGive it pad: {self._enough_pad()}, or a smaller kernel_size."
            )
        padded = (size + 2 * pad for size, pad in zip(self.spatial, self.window.pad, strict=True))
        self.check_size(f"its {self.bottom(0)}, padded,", (*self.lead, self.channels, *padded))
        return self.window.outputs(self.spatial)

    def _enough_pad(self) -> int:
        return max((e - n + 1) // 2 for e, n in zip(self.window.extent, self.spatial, strict=True))

    def batched(self, x: Array) -> Array:
        """x (N, C, *in): the axes before the channels made one."""
        return x.reshape(count(self.lead), self.channels, *self.spatial)

    def unbatched(self, y: Array) -> Array:
        """y (N, …) with the axes before the channels as they were."""
        return y.reshape(*self.lead, *y.shape[1:])


def by(sizes: Shape) -> str:
    """How messages write sizes: 3×3."""
    return "×".join(map(str, sizes))


def same(values: Shape) -> str:
    """As `by`, but one number where all axes have the same."""
    return str(values[0]) if len(set(values)) == 1 else by(values)
