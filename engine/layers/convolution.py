"""Convolution and its kin."""

import jax

from engine.layers.base import Layer, Shape, along, layer


@layer("Convolution")
class Convolution(Layer):
    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.convolution_param
        k = p.kernel_size[0]
        self.weight = self.param("weight", (p.num_output, x[1], k, k), p.weight_filler)
        self.bias = self.param("bias", (p.num_output,), p.bias_filler) if p.bias_term else None
        return [(x[0], p.num_output, x[2] - k + 1, x[3] - k + 1)]

    def forward(self, params, bottoms, ctx):
        (x,) = bottoms
        y = jax.lax.conv(x, params[self.weight], (1, 1), "VALID")
        return [y if self.bias is None else y + along(params[self.bias], 1, 4)]
