"""Forms of a convolution's three products that leave the work to XLA, which calls cuDNN on a GPU.

A few groups are computed one by one, since cuDNN has no fast kernels for grouped convolutions. On an H200, AlexNet's
convolutions with two groups took 1.4 of the 1.9 ms of a pass of 64 pictures (TF32), in kernels without tensor cores
between transposes of their own. Arrays and names are those of `engine.ops.convolution`.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops import channels
from engine.ops.window import Window

Array = jax.Array

FEW = 4
"""More groups are left to cuDNN: each then has less work than the overhead of a call."""


def forward(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    if 1 < groups <= FEW:
        y = apart(lambda x, w: forward(x, w, None, window, 1), groups, (x, 1), (w, 0), joined=1)
    else:
        y = _product(x, w, window, groups)
    return y if b is None else y + channels.along(b, y)


def input_gradient(dy: Array, w: Array, x_shape: Sequence[int], window: Window, groups: int) -> Array:
    if 1 < groups <= FEW:
        shape = (x_shape[0], x_shape[1] // groups, *x_shape[2:])
        return apart(lambda dy, w: input_gradient(dy, w, shape, window, 1), groups, (dy, 1), (w, 0), joined=1)
    x = jax.ShapeDtypeStruct(tuple(x_shape), dy.dtype)
    return jax.linear_transpose(lambda x: _product(x, w, window, groups), x)(dy)[0]


def weight_gradient(x: Array, dy: Array, w_shape: Sequence[int], window: Window, groups: int) -> Array:
    if 1 < groups <= FEW:
        shape = (w_shape[0] // groups, *w_shape[1:])
        return apart(lambda x, dy: weight_gradient(x, dy, shape, window, 1), groups, (x, 1), (dy, 1), joined=0)
    w = jax.ShapeDtypeStruct(tuple(w_shape), x.dtype)
    return jax.linear_transpose(lambda w: _product(x, w, window, groups), w)(dy)[0]


def apart(
    product: Callable[[Array, Array], Array], groups: int, a: tuple[Array, int], b: tuple[Array, int], *, joined: int
) -> Array:
    """Applies `product` to each group's parts of two arrays, split along their axes; concatenates along `joined`."""
    pairs = zip(*(jnp.split(array, groups, axis) for array, axis in (a, b)), strict=True)
    return jnp.concatenate([product(*pair) for pair in pairs], joined)


def _product(x: Array, w: Array, window: Window, groups: int) -> Array:
    return lax.conv_general_dilated(
        x,
        w,
        window_strides=window.stride,
        padding=[(p, p) for p in window.pad],
        rhs_dilation=window.dilation,
        feature_group_count=groups,
    )
