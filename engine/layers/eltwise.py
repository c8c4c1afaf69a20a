"""Eltwise: combines several blobs of one shape element by element."""

import math

import jax.numpy as jnp

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.rectifier import weighted_sum
from engine.proto import caffe_pb2 as pb

Op = pb.EltwiseParameter


@layer("Eltwise")
class Eltwise(Layer):
    """y = Π xᵢ, Σ coeffᵢ · xᵢ or max xᵢ.

    Bottoms: two or more, of one shape, or one with a coeff (FlowNet). Top: y, of that shape. As in Caffe, the gradient
    of MAX goes to one bottom: to the second if it ties with the first for the maximum, else to the first of the
    largest. The gradient of PROD is the product of the other bottoms; `stable_prod_grad: false` is another way to
    compute the same and changes nothing here.
    """

    precision = "given"

    def setup(self, *xs: Shape) -> list[Shape]:
        p = self.config.eltwise_param
        shape = fits.combined(self.node, xs)
        self.operation = p.operation
        self.coeff = tuple(p.coeff) or (1,) * len(xs)
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        if self.operation == Op.PROD:
            return [math.prod(bottoms[1:], start=bottoms[0])]
        if self.operation == Op.SUM:
            return [weighted_sum(list(bottoms), self.coeff)]
        first, second, *rest = bottoms
        y = jnp.where(first > second, first, second)
        for x in rest:
            y = jnp.where(x > y, x, y)
        return [y]
