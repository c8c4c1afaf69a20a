"""Calls oneDNN's convolution and matrix product, which XLA's CPU runtime for x86 offers by name, in compiled functions.

A configuration that the runtime does not understand aborts the process, so `onednn_proof` decides whether to call at
all.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import jax
from jax import ffi

Array = jax.Array


def convolution(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    strides: Sequence[int] = (1, 1),
    padding: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    axes: tuple[str, str, str] = ("NHWC", "OIHW", "NHWC"),
) -> Array:
    """The cross-correlation of x with w (+ bias) over two spatial axes, float32.

    axes: the axes of x, w and y in memory order: N and C of x and y, O and I of w, H and W of all. padding: before and
    after each spatial axis. x and y must have C last, or oneDNN silently uses a reference kernel that is a thousand
    times slower.
    """
    config: dict[str, Any] = {
        "dims": "4",
        "input": {"dims": "4", "data": _data_axes(axes[0])},
        "kernel": {
            "dims": "4",
            "filter": {
                "input_feature_dim": str(axes[1].index("I")),
                "output_feature_dim": str(axes[1].index("O")),
                "spatial_dims": _spatial(axes[1]),
            },
        },
        "output": {"dims": "4", "data": _data_axes(axes[2])},
        "window": {
            "size": [],
            "pad_left": [str(low) for low, _ in padding],
            "pad_right": [str(high) for _, high in padding],
            "strides": [str(s) for s in strides],
            "window_dilations": [str(d) for d in dilation],
        },
        "feature_groups": str(groups),
    }
    sizes = {"N": x.shape[axes[0].index("N")], "C": w.shape[axes[1].index("O")]}
    for axis, stride, (low, high), d in zip("HW", strides, padding, dilation, strict=True):
        extent = (w.shape[axes[1].index(axis)] - 1) * d + 1
        sizes[axis] = (x.shape[axes[0].index(axis)] + low + high - extent) // stride + 1
    operands = [x, w]
    if bias is not None:
        config["fusions"] = {"ops": ["BIAS"]}
        operands.append(bias)
    return _call(
        "__onednn$convolution", {"onednn_conv_config": config}, operands, tuple(sizes[axis] for axis in axes[2])
    )


def product(a: Array, b: Array, bias: Array | None = None, *, transposed: str = "") -> Array:
    """a b over the last two axes, batched over those before, float32. transposed: "a" for aᵀ b, "b" for a bᵀ.

    bias: added to each row of the product, and as long as one.
    """
    config: dict[str, Any] = {f"transpose_{operand}": operand == transposed for operand in "ab"}
    operands = [a, b]
    if bias is not None:
        config["fusions"] = {"ops": ["BIAS"]}
        operands.append(bias.reshape(*(1,) * (a.ndim - 1), -1))
    shape = (*a.shape[:-2], a.shape[-1 if transposed == "a" else -2], b.shape[-2 if transposed == "b" else -1])
    return _call("__onednn$matmul", {"onednn_matmul_config": config}, operands, shape)


def called_by(lowered: jax.stages.Lowered) -> bool:
    """Whether a program calls oneDNN. Such a program must not be serialized: see `_call`."""
    return "__onednn$" in lowered.as_text()


def _call(target: str, config: dict[str, Any], operands: list[Array], shape: tuple[int, ...]) -> Array:
    # When XLA serializes a program, it takes these calls for ordinary custom calls, misreads them, and may crash. So
    # JAX's cache keeps nothing that is compiled from here on; what it already holds it still finds.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", math.inf)
    call = ffi.ffi_call(
        target,
        jax.ShapeDtypeStruct(shape, operands[0].dtype),
        vmap_method="sequential",
        custom_call_api_version=2,
        legacy_backend_config=json.dumps({"outer_dimension_partitions": [], **config}),
    )
    result: Array = call(*operands)
    return result


def _data_axes(axes: str) -> dict[str, Any]:
    return {"batch_dim": str(axes.index("N")), "feature_dim": str(axes.index("C")), "spatial_dims": _spatial(axes)}


def _spatial(axes: str) -> list[str]:
    return [str(axes.index("H")), str(axes.index("W"))]
