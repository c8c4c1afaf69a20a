"""Layers that scale and shift by values laid along some axes: Scale, Bias, Axpy, SpatialProduct."""

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape, along, count
from engine.layers.registry import layer
from engine.ops.batch_norm import scale_channels


class _Along(Layer):
    """What Scale and Bias share: an operand, learned or a second bottom, that lies along x's axes from `axis` on."""

    bottoms = (1, 2)

    def place(self, what: str, x: Shape, operand: Shape | None, axis: int, num_axes: int) -> Shape:
        """The operand's shape, checked against x; keeps its first axis. A scalar fits any x."""
        self.axis, shape = fits.place(self.node, what, [x] if operand is None else [x, operand], axis, num_axes)
        return shape


@layer("Scale")
class Scale(_Along):
    """y = x · s (+ b), with s and b laid along x's axes from `axis` on.

    Bottoms: x (d0, …, dn); s as a second bottom, or learned. Top: y, of x's shape.
    Params: s (1 unless filled otherwise) and, with `bias_term`, b, both of shape x[axis : axis + num_axes].
    """

    def setup(self, x: Shape, s: Shape | None = None) -> list[Shape]:
        p = self.config.scale_param
        shape = self.place("scale", x, s, p.axis, p.num_axes)
        self.scale = None if s is not None else self.param("scale", shape, p.filler, default=1.0)
        self.bias = self.param("bias", shape, p.bias_filler) if p.bias_term else None
        self.per_channel = None
        if self.scale is not None and self.axis == 1 and len(shape) == 1:
            self.per_channel = self.scale, self.bias
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, *rest = bottoms
        s = rest[0] if self.scale is None else params[self.scale]
        b = None if self.bias is None else params[self.bias]
        if self.axis == 1 and s.ndim == 1:
            return [scale_channels(x, s, b)]
        y = x * along(s, self.axis, x.ndim)
        return [y if b is None else y + along(b, self.axis, x.ndim)]


@layer("Bias")
class Bias(_Along):
    """y = x + b, with b laid along x's axes from `axis` on.

    Bottoms: x (d0, …, dn); b as a second bottom, or learned. Top: y, of x's shape.
    Param: b, of shape x[axis : axis + num_axes].
    """

    def setup(self, x: Shape, b: Shape | None = None) -> list[Shape]:
        p = self.config.bias_param
        shape = self.place("bias", x, b, p.axis, p.num_axes)
        self.bias = None if b is not None else self.param("bias", shape, p.filler)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, *rest = bottoms
        b = rest[0] if self.bias is None else params[self.bias]
        return [x + along(b, self.axis, x.ndim)]


@layer("Axpy")
class Axpy(Layer):
    """z = a · x + y, with one a an item and channel (SENet, Hu et al. 2018).

    Bottoms: a (N, C) or (N, C, 1, 1); x and y (N, C, …). Top: z, of x's shape.
    """

    bottoms = (3, 3)

    def setup(self, a: Shape, x: Shape, y: Shape) -> list[Shape]:
        if len(x) < 2 or a[:2] != x[:2] or count(a[2:]) != 1:
            raise self.error(
                f"{self.bottom(0)} has shape {list(a)} and {self.bottom(1)} {list(x)}; the first must be one value an "
                "item and channel of the second."
            )
        if x != y:
            raise self.error(
                f"{self.bottom(1)} has shape {list(x)} and {self.bottom(2)} {list(y)}; they must be the same."
            )
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, x, y = bottoms
        return [along(a.reshape(a.shape[:2]), 0, x.ndim) * x + y]


@layer("SpatialProduct")
class SpatialProduct(Layer):
    """y = x · m, with one m a place, for all channels (DeepLab). Bottoms: x (N, C, H, W), m (N, 1, H, W). Top: y."""

    bottoms = (2, 2)

    def setup(self, x: Shape, m: Shape) -> list[Shape]:
        if len(x) < 2 or m != (x[0], 1, *x[2:]):
            raise self.error(
                f"{self.bottom(0)} has shape {list(x)} and {self.bottom(1)} {list(m)}; the second must be "
                f"{[*x[:1], 1, *x[2:]]}."
            )
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, m = bottoms
        return [x * m]
