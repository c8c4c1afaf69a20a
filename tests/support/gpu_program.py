"""What a program for a GPU must not do, read from how it is lowered: on any machine, before anything compiles."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.export

HOST = ("custom_call", "infeed", "outfeed", "send", "recv")
"""What leaves the device in the midst of a program."""

CONSTANT = 2**20
"""Bytes that a program may hold of one array; more is read, and compiled, at every start."""


def lowered(function: Callable[..., Any], *args: Any) -> str:
    """The text of `function` for CUDA, with float32's products as Caffe has them."""
    with jax.default_matmul_precision("highest"):
        return jax.export.export(jax.jit(function), platforms=["cuda"])(*args).mlir_module()


def faults(text: str) -> list[str]:
    """What is wrong with such a program; `unordered_sums` tells of what some layers cannot do without."""
    found = [f"it calls the host: {op}" for op in HOST if re.search(rf"stablehlo\.{op}\b(?! @Sharding)", text)]
    if re.search(r"tensor<(\d+x)*(f64|complex<f64>)>", text):
        found.append("it computes in float64")
    # JAX counts random bits in unsigned ones, which XLA takes apart again.
    if re.search(r": (\(.*\) -> )?tensor<(\d+x)*i64>", _without_attributes(_of_its_own(text))):
        found.append("it computes with 64-bit integers")
    for line in text.splitlines():
        if re.search(r"stablehlo\.(convolution|dot_general)\b", line) and line.count("HIGHEST") < 2:
            found.append(f"a product is rounded to TF32: {line.strip()[:150]}")
        if "stablehlo.constant" in line and (size := _bytes(line)) > CONSTANT and 'dense<"' in line:
            found.append(f"a constant of {size} bytes: {line.strip()[-100:]}")
    return found


def unordered_sums(text: str) -> int:
    """How many scatters a program has that add fractions: threads do it in no order of their own, which is slow where
    many meet, and makes another sum each time."""
    bodies = re.findall(r'"stablehlo\.scatter"[^\n]*\n\s*\^bb0\([^\n]*: tensor<(\w+)>[^\n]*\n([^\n]*)', text)
    added = [kind for kind, first in bodies if kind.startswith(("f", "bf")) and "stablehlo.add" in first]
    return len(added) + len(re.findall(r"stablehlo\.select_and_scatter\b", text))


def _of_its_own(text: str) -> str:
    """Without what JAX writes beside the sums along an axis, for those that have no operation of that kind."""
    return re.sub(r"\n  func\.func private @chlo\..*?\n  }", "", text, flags=re.DOTALL)


def _without_attributes(text: str) -> str:
    """Attributes are numbers of 64 bits, whatever the program computes with."""
    return re.sub(r"(array<i64[^>]*>|dense<[^>]*> : tensor<[0-9x]*i64>|\d+ : i64)", "", text)


def _bytes(line: str) -> int:
    shape = re.search(r": tensor<((?:\d+x)*)([a-z]+)(\d+)>", line)
    if shape is None:
        return 0
    size = max(1, int(shape[3]) // 8)
    for n in shape[1].split("x")[:-1]:
        size *= int(n)
    return size
