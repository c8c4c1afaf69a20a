"""Tries oneDNN's calls: compares each form of each product with the plain forms, in value and in time.

    python -m engine.ops.onednn_trial

The last line of output is "passed", or says what went wrong. If a signal ends the process, that is the verdict.
"""

import resource
import time
from collections.abc import Iterator
from types import ModuleType

import jax
import numpy as np

from engine.ops import convolution_cpu, convolution_onednn, onednn
from engine.ops.onednn_proof import PASSED
from engine.ops.window import Window

Array = jax.Array

CASES = {
    "7×7, stride 2": ((4, 3, 32, 32), 16, Window((7, 7), (2, 2), (3, 3), (1, 1)), 1),
    "1×1": ((4, 64, 14, 14), 32, Window((1, 1), (1, 1), (0, 0), (1, 1)), 1),
    "1×1, stride 2": ((4, 64, 14, 14), 32, Window((1, 1), (2, 2), (0, 0), (1, 1)), 1),
    "3×3 of a colour image": ((4, 3, 16, 16), 16, Window((3, 3), (1, 1), (1, 1), (1, 1)), 1),
    "3×3 of a large map": ((1, 32, 28, 28), 32, Window((3, 3), (1, 1), (1, 1), (1, 1)), 1),
    "3×3 of a small map": ((4, 64, 8, 8), 48, Window((3, 3), (1, 1), (1, 1), (1, 1)), 1),
    "3×3, stride 2, one channel a group": ((4, 16, 13, 13), 16, Window((3, 3), (2, 2), (1, 1), (1, 1)), 16),
    "5×5 of many images": ((32, 8, 20, 20), 32, Window((5, 5), (1, 1), (2, 2), (1, 1)), 1),
    "5×5, 2 groups, dilated": ((4, 16, 20, 20), 32, Window((5, 5), (1, 1), (4, 4), (2, 2)), 2),
}
"""The shape of x, the number of outputs, the window and the groups. Together they cover every form."""

PRODUCTS, DEEP = ((1, 96), (96, 16)), 256
"""The numbers of rows of the two factors of a bᵀ, and the length of these rows."""

TOLERANCE = 1e-4
"""Relative to the largest value; the error of Winograd's form is 1e-5 of it."""

SLOWER, MILLISECONDS = 5, 10
"""The time allowed: this many times that of the plain forms, and this much more. One reference kernel takes 100 ms."""

ROUNDS = 5

Operands = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(next(_faults(), PASSED))


def _faults() -> Iterator[str]:
    operands = [_operands(*case) for case in CASES.values()]
    plain, expected = _timed(convolution_cpu, operands)
    called, found = _timed(convolution_onednn, operands)
    for name, got, want in zip(CASES, found, expected, strict=True):
        for product, a, b in zip(("y", "the gradient of x", "that of w"), got, want, strict=True):
            if not np.abs(a - b).max() <= TOLERANCE * np.abs(b).max():
                yield f"{product} of a convolution of {name} is wrong."
    yield from _product_faults()
    if called > SLOWER * plain + MILLISECONDS:
        yield f"it takes {called:.1f} ms for what takes {plain:.1f} ms without it."


def _product_faults() -> Iterator[str]:
    rng = np.random.default_rng(0)
    for m, n in PRODUCTS:
        a, b = (rng.standard_normal((rows, DEEP), np.float32) for rows in (m, n))
        got, want = onednn.product(jax.numpy.asarray(a), jax.numpy.asarray(b), transposed="b"), a @ b.T
        if not np.abs(got - want).max() <= TOLERANCE * np.abs(want).max():
            yield f"a product of {m} rows with {n} is wrong."


def _operands(shape: tuple[int, ...], outputs: int, window: Window, groups: int) -> Operands:
    """x, w, b and dy."""
    rng = np.random.default_rng(0)
    shapes = (shape, (outputs, shape[1] // groups, *window.kernel), (outputs,))
    x, w, b, dy = (
        rng.standard_normal(s, np.float32) for s in (*shapes, (shape[0], outputs, *window.outputs(shape[2:])))
    )
    return x, w, b, dy


def _timed(forms: ModuleType, operands: list[Operands]) -> tuple[float, list[list[np.ndarray]]]:
    """The milliseconds of the fastest of `ROUNDS` calls for all cases, and the three products of each case."""

    @jax.jit
    def products(operands: list[tuple[Array, Array, Array, Array]]) -> list[list[Array]]:
        return [
            [
                forms.forward(x, w, b, window, groups),
                forms.input_gradient(dy, w, x.shape, window, groups),
                forms.weight_gradient(x, dy, w.shape, window, groups),
            ]
            for (x, w, b, dy), (_, _, window, groups) in zip(operands, CASES.values(), strict=True)
        ]

    results = jax.tree.map(np.asarray, products(operands))
    spent = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        jax.block_until_ready(products(operands))
        spent.append((time.perf_counter() - started) * 1e3)
    return min(spent), results


if __name__ == "__main__":
    main()
