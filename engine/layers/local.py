"""Local: a convolution with separate weights at every position."""

import jax.numpy as jnp

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.im2col import columns
from engine.ops.window import Window


@layer("Local")
class Local(Layer):
    """y = Σ x W (+ b) over the elements under the kernel, with separate weights at each position.

    Bottom: x (N, C, H, W). Top: y (N, num_output, P, Q), of the same size as for Convolution.
    Params: W (num_output, 1, C · kernel_size², P · Q) and, with `bias_term`, b (1, 1, num_output, P · Q).
    """

    precision = "low"

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.local_param
        fits.planes(self.node, x)
        for field in ("num_output", "kernel_size", "stride"):
            if not getattr(p, field):
                raise self.error(f"local_param needs {field} of 1 or more.")
        self.window = Window((p.kernel_size,) * 2, (p.stride,) * 2, (p.pad,) * 2, (1, 1))
        outputs = self.window.outputs(x[2:])
        if min(outputs) < 1:
            raise self.error(
                f"a {p.kernel_size}×{p.kernel_size} kernel does not fit its {self.bottom(0)} of {x[2]}×{x[3]} with "
                f"pad {p.pad}."
            )
        self.shape, places = (x[0], p.num_output, *outputs), outputs[0] * outputs[1]
        self.weight = self.param("weight", (p.num_output, 1, x[1] * p.kernel_size**2, places), p.weight_filler)
        self.bias = self.param("bias", (1, 1, p.num_output, places), p.bias_filler) if p.bias_term else None
        return [self.shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        w = params[self.weight][:, 0]
        y = jnp.einsum("nkp,okp->nop", columns(x, self.window).reshape(len(x), *w.shape[1:]), w)
        return [(y if self.bias is None else y + params[self.bias][0]).reshape(self.shape)]
