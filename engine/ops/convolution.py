"""Convolution and its transpose, for any number of spatial axes.

As in Caffe, both consist of the same three products: y from (x, w), the gradient of x from (dy, w), and the gradient
of w from (x, dy). Deconvolution is the second of them, and its gradients are the first and the third.

Arrays: x (N, C, *in), w (M, C / groups, *kernel), b (M), y (N, M, *out).

Each product has one form per platform. On a CPU it is that of `convolution_onednn` if oneDNN is proved to work there
(`onednn_proof`), else that of `convolution_cpu`; elsewhere, and for what neither of these takes, `convolution_xla`.

Each product is its own `jax.jit`, so that layers of the same sizes are traced and lowered once; XLA inlines it.
"""

from functools import partial
from types import ModuleType
from typing import Any

import jax

from engine.ops import channels, convolution_cpu, convolution_onednn, convolution_xla, onednn_proof, platform
from engine.ops.window import Window

Array = jax.Array
Operands = tuple[Array, Array, Array | None]


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def convolve(x: Array, w: Array, b: Array | None, window: Window, groups: int = 1) -> Array:
    """y[n, m, o] = Σ over c, k of w[m, c, k] · x[n, c, o · stride − pad + k · dilation] + b[m] (cross-correlation)."""
    return forward(x, w, b, window, groups)


def _convolve_fwd(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> tuple[Array, Operands]:
    return forward(x, w, b, window, groups), (x, w, b)


def _convolve_bwd(window: Window, groups: int, saved: Operands, dy: Array) -> Operands:
    x, w, b = saved
    return (
        input_gradient(dy, w, x.shape, window, groups),
        weight_gradient(x, dy, w.shape, window, groups),
        None if b is None else channels.sums(lambda _, dy: dy, dy),
    )


convolve.defvjp(_convolve_fwd, _convolve_bwd)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def deconvolve(y: Array, w: Array, b: Array | None, window: Window, groups: int = 1) -> Array:
    """The transpose of `convolve` in x: y (N, M, *out), w (M, C / groups, *kernel), b (C) → x (N, C, *in)."""
    x = input_gradient(y, w, (y.shape[0], w.shape[1] * groups, *window.inputs(y.shape[2:])), window, groups)
    return x if b is None else x + channels.along(b, x)


def _deconvolve_fwd(y: Array, w: Array, b: Array | None, window: Window, groups: int) -> tuple[Array, Operands]:
    return deconvolve(y, w, b, window, groups), (y, w, b)


def _deconvolve_bwd(window: Window, groups: int, saved: Operands, dx: Array) -> Operands:
    y, w, b = saved
    return (
        forward(dx, w, None, window, groups),
        weight_gradient(dx, y, w.shape, window, groups),
        None if b is None else channels.sums(lambda _, dx: dx, dx),
    )


deconvolve.defvjp(_deconvolve_fwd, _deconvolve_bwd)


@partial(jax.jit, static_argnames=("window", "groups"))
def forward(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    """y from x, w and b."""
    cpu = _cpu_forms(x, w.shape, window, groups)
    return _by_platform("forward", cpu, x, w, b, window=window, groups=groups)


@partial(jax.jit, static_argnames=("x_shape", "window", "groups"))
def input_gradient(dy: Array, w: Array, x_shape: tuple[int, ...], window: Window, groups: int) -> Array:
    """The gradient of x from dy and w."""
    cpu = _cpu_forms(jax.ShapeDtypeStruct(x_shape, dy.dtype), w.shape, window, groups)
    return _by_platform("input_gradient", cpu, dy, w, x_shape=x_shape, window=window, groups=groups)


@partial(jax.jit, static_argnames=("w_shape", "window", "groups"))
def weight_gradient(x: Array, dy: Array, w_shape: tuple[int, ...], window: Window, groups: int) -> Array:
    """The gradient of w from x and dy."""
    cpu = _cpu_forms(x, w_shape, window, groups)
    return _by_platform("weight_gradient", cpu, x, dy, w_shape=w_shape, window=window, groups=groups)


def _cpu_forms(x: Array | jax.ShapeDtypeStruct, w_shape: tuple[int, ...], window: Window, groups: int) -> ModuleType:
    """The module that computes such a convolution on a CPU."""
    if convolution_onednn.fits(x.shape, x.dtype, w_shape, window, groups) and onednn_proof.passed():
        return convolution_onednn
    return convolution_cpu if convolution_cpu.takes(x.shape[1], w_shape, groups) else convolution_xla


def _by_platform(product: str, cpu: ModuleType, *arrays: Array | None, **options: Any) -> Array:
    """One of the three products, by name, in the platform's form."""
    on_cpu, default = (partial(getattr(forms, product), **options) for forms in (cpu, convolution_xla))
    result: Array = platform.dependent(*arrays, cpu=platform.widened(on_cpu), default=default)
    return result
