"""Layers that scale and shift by values broadcast along some axes: Scale, Bias, Axpy, SpatialProduct, Mul."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape, along
from engine.layers.registry import layer
from engine.ops.batch_norm import scale_channels
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb


class _Along(Layer):
    """The base of Scale and Bias: an operand, learned or a second bottom, spans x's axes from `axis` on."""

    bottoms = (1, 2)
    precision = "mixed"

    def place(self, what: str, x: Shape, operand: Shape | None, axis: int, num_axes: int) -> Shape:
        """Checks the operand's shape against x and returns it; stores its first axis. A scalar fits any x."""
        self.axis, shape = fits.place(self.node, what, [x] if operand is None else [x, operand], axis, num_axes)
        return shape


@layer("Scale")
class Scale(_Along):
    """y = x · s (+ b), where s and b span x's axes from `axis` on.

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


def _clamped(config: pb.LayerParameter) -> bool:
    return config.scale_param.HasField("min_value") or config.scale_param.HasField("max_value")


@layer("Scale", when=_clamped)
class ClampedScale(Scale):
    """A Scale whose s is first clamped between min_value and max_value; a learned s keeps the clamped value (NormFace).

    The gradient of s passes through the clamp unchanged.
    """

    def setup(self, x: Shape, s: Shape | None = None) -> list[Shape]:
        tops = super().setup(x, s)
        p = self.config.scale_param
        self.per_channel = None
        self.least = p.min_value if p.HasField("min_value") else -jnp.inf
        self.most = p.max_value if p.HasField("max_value") else jnp.inf
        return tops

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        s = bottoms[1] if self.scale is None else params[self.scale]
        limited = jnp.minimum(jnp.maximum(stop_gradient(s), self.least), self.most)
        clamped = with_gradient_of(limited, s)
        if self.scale is None:
            return self.forward(params, [bottoms[0], clamped], ctx), {}
        new_params = [clamped if i == self.scale else p for i, p in enumerate(params)]
        return self.forward(new_params, bottoms, ctx), {self.scale: limited}


@layer("Bias")
class Bias(_Along):
    """y = x + b, where b spans x's axes from `axis` on.

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
    """z = a · x + y, with one value of a per item and channel (SENet, Hu et al. 2018).

    Bottoms: a (N, C) or (N, C, 1, 1); x and y (N, C, …). Top: z, of x's shape.
    """

    precision = "mixed"

    def setup(self, a: Shape, x: Shape, y: Shape) -> list[Shape]:
        return [fits.added(self.node, a, x, y)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, x, y = bottoms
        return [along(a.reshape(a.shape[:2]), 0, x.ndim) * x + y]


@layer("SpatialProduct")
class SpatialProduct(Layer):
    """y = x · m, with one value of m per position, shared by all channels (DeepLab).

    Bottoms: x (N, C, H, W), m (N, 1, H, W). Top: y, of x's shape.
    """

    bottoms = (2, 2)
    precision = "mixed"

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


@layer("Mul")
class Mul(Layer):
    """y = a · b, broadcast: counted from the last axis, axes are equal, 1 or absent in one operand (Synopsys' Caffe).

    Bottoms: a and b; with a alone, b is a parameter of shape mul_shape. Top: y, of the broadcast shape.
    """

    bottoms = (1, 2)

    def setup(self, a: Shape, b: Shape | None = None) -> list[Shape]:
        shape = tuple(self.config.mul_param.mul_shape) if b is None else b
        self.factor = self.param("factor", shape, pb.FillerParameter()) if b is None else None
        try:
            return [jnp.broadcast_shapes(a, shape)]
        except ValueError:
            raise self.error(
                f"{self.bottom(0)} has shape {list(a)} and its factor {list(shape)}; counted from the last, their axes "
                "must be equal, or one of them 1."
            ) from None

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [bottoms[0] * (bottoms[1] if self.factor is None else params[self.factor])]
