"""Checks what a program for a GPU must not do, from its lowered form: on any machine, before anything is compiled."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.export

HOST = ("custom_call", "infeed", "outfeed", "send", "recv")
"""Operations that leave the device in the middle of a program."""

CONSTANT = 2**20
"""Bytes that an array embedded in a program may have; a larger one costs reading and compiling at every start."""


def lowered(function: Callable[..., Any], *args: Any) -> str:
    """The lowered text of `function` for CUDA, with full float32 products as in Caffe."""
    with jax.default_matmul_precision("highest"):
        return jax.export.export(jax.jit(function), platforms=["cuda"])(*args).mlir_module()


def faults(text: str) -> list[str]:
    """What is wrong with such a program. Unordered sums, which some layers need, are counted by `unordered_sums`."""
    found = [f"it calls the host: {op}" for op in HOST if re.search(rf"stablehlo\.{op}\b(?! @Sharding)", text)]
    if re.search(r"tensor<(\d+x)*(f64|complex<f64>)>", text):
        found.append("it computes in float64")
    # JAX computes random bits with unsigned 64-bit counters, which XLA splits again; only signed ones are a fault.
    if re.search(r": (\(.*\) -> )?tensor<(\d+x)*i64>", _without_attributes(_without_decompositions(text))):
        found.append("it computes with 64-bit integers")
    for line in text.splitlines():
        if re.search(r"stablehlo\.(convolution|dot_general)\b", line) and line.count("HIGHEST") < 2:
            found.append(f"a product is rounded to TF32: {line.strip()[:150]}")
        if "stablehlo.constant" in line and (size := _bytes(line)) > CONSTANT and 'dense<"' in line:
            found.append(f"a constant of {size} bytes: {line.strip()[-100:]}")
    return found


def unordered_sums(text: str) -> int:
    """How many floating-point scatter-adds a program has. Threads add in arbitrary order, which is slow where many add
    to one place, and gives another sum each time."""
    bodies = re.findall(r'"stablehlo\.scatter"[^\n]*\n\s*\^bb0\([^\n]*: tensor<(\w+)>[^\n]*\n([^\n]*)', text)
    added = [kind for kind, first in bodies if kind.startswith(("f", "bf")) and "stablehlo.add" in first]
    return len(added) + len(re.findall(r"stablehlo\.select_and_scatter\b", text))


def _without_decompositions(text: str) -> str:
    """Removes the private @chlo functions that JAX adds as decompositions of its higher-level operations."""
    return re.sub(r"\n  func\.func private @chlo\..*?\n  }", "", text, flags=re.DOTALL)


def _without_attributes(text: str) -> str:
    """Removes attributes, whose numbers have 64 bits whatever the program computes with."""
    return re.sub(r"(array<i64[^>]*>|dense<[^>]*> : tensor<[0-9x]*i64>|\d+ : i64)", "", text)


def _bytes(line: str) -> int:
    shape = re.search(r": tensor<((?:\d+x)*)([a-z]+)(\d+)>", line)
    if shape is None:
        return 0
    size = max(1, int(shape[3]) // 8)
    for n in shape[1].split("x")[:-1]:
        size *= int(n)
    return size
