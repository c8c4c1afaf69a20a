"""The forms of a convolution's products that the CPU has, and those that other devices have, against `lax`'s."""

import jax
import numpy as np
import pytest
from jax import lax

from engine.ops import convolution_cpu as cpu
from engine.ops import convolution_xla
from engine.ops.window import Window

CASES = {
    "3×3, 48 channels": ((1, 48, 5, 6), 6, Window((3, 3), (1, 1), (1, 1), (1, 1)), 1),
    "3×3": ((2, 8, 9, 10), 6, Window((3, 3), (1, 1), (1, 1), (1, 1)), 1),
    "7×7, stride 2": ((2, 3, 20, 23), 5, Window((7, 7), (2, 2), (3, 3), (1, 1)), 1),
    "dilated": ((2, 4, 12, 11), 6, Window((3, 2), (2, 1), (2, 1), (2, 3)), 1),
    "pointwise": ((2, 8, 7, 6), 5, Window((1, 1), (1, 1), (0, 0), (1, 1)), 1),
    "pointwise, stride 3, pad 1": ((2, 8, 7, 6), 5, Window((1, 1), (3, 3), (1, 1), (1, 1)), 1),
    "4 groups": ((2, 8, 7, 6), 12, Window((3, 3), (1, 1), (1, 1), (1, 1)), 4),
    "depthwise": ((2, 8, 7, 6), 8, Window((3, 3), (1, 1), (1, 1), (1, 1)), 8),
    "depthwise, stride 2": ((2, 8, 8, 7), 8, Window((3, 3), (2, 2), (1, 1), (1, 1)), 8),
    "depthwise, 3 outputs a channel": ((2, 4, 8, 7), 12, Window((3, 3), (2, 2), (1, 1), (1, 1)), 4),
    "depthwise, many taps": ((1, 2, 15, 16), 2, Window((12, 12), (1, 1), (0, 0), (1, 1)), 2),
    "many taps": ((1, 2, 17, 16), 3, Window((12, 12), (4, 4), (2, 2), (1, 1)), 1),
    "1 axis": ((2, 4, 11), 6, Window((3,), (2,), (1,), (1,)), 2),
    "3 axes": ((2, 3, 5, 6, 4), 4, Window((3, 2, 2), (2, 1, 1), (1, 0, 1), (1, 1, 1)), 1),
}


def test_many_groups_are_left_to_xla():
    assert cpu.takes(8, (8, 2, 3, 3), 4)
    assert cpu.takes(500, (500, 1, 3, 3), 500)
    assert not cpu.takes(500, (500, 1, 12, 12), 500)
    assert not cpu.takes(500, (500, 2, 3, 3), 250)


def test_few_groups_are_computed_one_by_one_where_xla_computes_them():
    def groups(n):
        x, w = np.ones((1, 24, 5, 5), np.float32), np.ones((24, 24 // n, 3, 3), np.float32)
        window = Window((3, 3), (1, 1), (1, 1), (1, 1))
        text = jax.jit(lambda x, w: convolution_xla.forward(x, w, None, window, n)).lower(x, w).as_text()
        return [
            line.split("feature_group_count = ")[1].split()[0] for line in text.splitlines() if "convolution(" in line
        ]

    assert groups(2) == ["1"] * 2
    assert groups(8) == ["8"]


@pytest.mark.parametrize("forms", [cpu, convolution_xla])
@pytest.mark.parametrize("name", CASES)
def test_the_three_products_equal_laxs(name, forms):
    shape, outputs, window, groups = CASES[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    w = rng.standard_normal((outputs, shape[1] // groups, *window.kernel)).astype(np.float32)

    def plain(x, w):
        pads = [(p, p) for p in window.pad]
        return lax.conv_general_dilated(
            x, w, window.stride, pads, rhs_dilation=window.dilation, feature_group_count=groups
        )

    @jax.jit
    def both(x, w, dy):
        y, pull = jax.vjp(plain, x, w)
        ours = (
            forms.forward(x, w, None, window, groups),
            forms.input_gradient(dy, w, x.shape, window, groups),
            forms.weight_gradient(x, dy, w.shape, window, groups),
        )
        return ours, (y, *pull(dy))

    dy = rng.standard_normal((shape[0], outputs, *window.outputs(shape[2:]))).astype(np.float32)
    for got, want in zip(*both(x, w, dy), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * float(np.abs(want).max()))
