"""OuterProduct: all products of two items' features."""

from typing import ClassVar

from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of


@layer("OuterProduct")
@layer("OuterProduct", beside=("MMDLoss",))
class OuterProduct(Layer):
    """y[n, 0, i, j] = a[n, i] · b[n, j], from Xlearn. Bottoms: a (N, C), b (N, D). Top: (N, 1, C, D)."""

    bottoms = (2, 2)
    precision = "mixed"
    of_second: ClassVar[bool] = False
    """Whether only the second bottom gets a gradient."""

    def setup(self, a: Shape, b: Shape) -> list[Shape]:
        for i, x in enumerate((a, b)):
            if len(x) < 2 or count(x[2:]) != 1:
                raise self.error(f"{self.bottom(i)} has shape {list(x)}; it takes items with one axis of features.")
        if a[0] != b[0]:
            raise self.error(f"{self.bottom(0)} has {a[0]} items and {self.bottom(1)} {b[0]}; give equally many.")
        return [(a[0], a[1], b[1], 1) if self.of_second else (a[0], 1, a[1], b[1])]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b = (x.reshape(x.shape[:2]) for x in bottoms)
        a, b = a[:, :, None], b[:, None]
        y = with_gradient_of(a * b, stop_gradient(a) * b) if self.of_second else a * b
        return [y.reshape(self.top_shapes[0])]


@layer("OuterProduct", beside=("GradientScaler",))
class OneSidedOuterProduct(OuterProduct):
    """MADA's, which stands beside a GradientScaler and no MMDLoss: y (N, C, D, 1), and no gradient for a."""

    of_second = True
