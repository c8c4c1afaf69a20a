"""oneDNN's forms of a convolution's products against the plain ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.ops import convolution_cpu, convolution_onednn, onednn, onednn_proof
from engine.ops.window import Window

ONES, NONE = (1, 1), (0, 0)

CASES = {
    "7×7, stride 2": ((2, 3, 20, 23), 5, Window((7, 7), (2, 2), (3, 3), ONES), 1),
    "1×1": ((2, 8, 7, 6), 5, Window(ONES, ONES, NONE, ONES), 1),
    "1×1, large map": ((2, 8, 12, 11), 5, Window(ONES, ONES, NONE, ONES), 1),
    "1×1, stride 3, which leaves rows and columns out": ((2, 8, 9, 6), 5, Window(ONES, (3, 3), NONE, ONES), 1),
    "1×1, padded": ((2, 8, 7, 6), 5, Window(ONES, (2, 1), (1, 2), ONES), 1),
    "3×3, many channels": ((1, 48, 5, 6), 48, Window((3, 3), ONES, ONES, ONES), 1),
    "3×3, many channels to few": ((1, 48, 5, 6), 6, Window((3, 3), ONES, ONES, ONES), 1),
    "3×3, many channels, stride 2": ((1, 48, 8, 7), 48, Window((3, 3), (2, 2), ONES, ONES), 1),
    "3×3, many channels, dilated": ((1, 48, 8, 7), 48, Window((3, 3), ONES, (2, 2), (2, 2)), 1),
    "3×3, large map": ((1, 32, 28, 28), 3, Window((3, 3), ONES, ONES, ONES), 1),
    "3×3, large map of no whole tiles, without pad": ((2, 32, 31, 33), 3, Window((3, 3), ONES, NONE, ONES), 1),
    "uneven everything": ((2, 4, 22, 21), 6, Window((3, 2), (2, 3), (1, 0), (2, 3)), 1),
    "pad beyond the kernel": ((2, 4, 6, 5), 6, Window((2, 2), ONES, (3, 3), ONES), 1),
    "an output of nothing but padding": ((1, 12, 4, 3), 2, Window((2, 2), (16, 16), (3, 3), ONES), 1),
    "2 groups": ((2, 8, 7, 6), 12, Window((3, 3), (1, 2), ONES, ONES), 2),
    "one channel a group": ((2, 6, 7, 6), 6, Window((3, 3), ONES, ONES, ONES), 6),
    "one channel a group, uneven": ((9, 3, 13, 12), 3, Window((3, 2), (2, 3), (1, 0), (2, 1)), 3),
    "1 channel": ((2, 1, 9, 9), 13, Window((5, 5), ONES, NONE, ONES), 1),
    "1 channel to one": ((2, 1, 9, 9), 1, Window((5, 5), ONES, NONE, ONES), 1),
    "3 channels, uneven": ((3, 3, 12, 11), 9, Window((3, 2), (2, 1), (1, 2), (1, 2)), 1),
    "3 groups of 2 channels": ((2, 6, 8, 7), 48, Window((4, 4), ONES, ONES, ONES), 3),
}


@pytest.mark.skipif(not onednn_proof.passed(), reason="oneDNN is not to be called here")
@pytest.mark.parametrize("name", CASES)
def test_the_three_products_equal_the_plain_ones(name):
    _compare(*CASES[name])


@pytest.mark.skipif(not onednn_proof.passed(), reason="oneDNN is not to be called here")
@pytest.mark.parametrize(
    ("shape", "window", "size", "blocks"),
    [
        ((34, 4, 7, 6), Window((3, 3), ONES, ONES, ONES), 900, [(17, 1)]),
        ((35, 4, 15, 12), Window((5, 3), (2, 3), (1, 0), (2, 1)), 2000, [(18, 1), (17, 1)]),
        ((5, 4, 15, 12), Window((5, 3), (2, 3), (1, 0), (2, 1)), 900, [(5, 2), (5, 1)]),
        ((5, 4, 3, 2), Window((4, 3), ONES, (3, 1), ONES), 100, [(5, 1)]),
    ],
    ids=["of images and rows", "of images, uneven", "of rows, uneven", "of one row each"],
)
def test_they_do_in_blocks(monkeypatch, shape, window, size, blocks):
    monkeypatch.setattr(convolution_onednn, "BLOCK", size)
    kernels = _kernels(monkeypatch)
    _compare(shape, 6, window, 1)
    assert [kernel.shape[:2] for kernel in kernels[2:]] == blocks


def _kernels(monkeypatch) -> list:
    """The kernels of all convolutions that are left to oneDNN from here on."""
    kernels, convolution = [], onednn.convolution

    def noted(x, kernel, *others, **options):
        kernels.append(kernel)
        return convolution(x, kernel, *others, **options)

    monkeypatch.setattr(onednn, "convolution", noted)
    return kernels


def _compare(shape, outputs, window, groups):
    shapes = (shape, (outputs, shape[1] // groups, *window.kernel), (outputs,))
    assert convolution_onednn.fits(shape, jnp.float32, shapes[1], window, groups)
    rng = np.random.default_rng(0)
    x, w, b, dy = (
        rng.standard_normal(s, np.float32) for s in (*shapes, (shape[0], outputs, *window.outputs(shape[2:])))
    )

    @jax.jit
    def products(x, w, b, dy):
        return [
            (
                forms.forward(x, w, b, window, groups),
                forms.input_gradient(dy, w, x.shape, window, groups),
                forms.weight_gradient(x, dy, w.shape, window, groups),
            )
            for forms in (convolution_onednn, convolution_cpu)
        ]

    for got, want in zip(*products(x, w, b, dy), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=3e-5 * float(np.abs(want).max()))


@pytest.mark.parametrize(
    ("shape", "dtype", "kernel", "groups"),
    [
        ((2, 8, 7, 6), jnp.float32, (5, 6), 8),
        ((2, 8, 7, 6), jnp.float16, (3, 3), 1),
        ((0, 8, 7, 6), jnp.float32, (3, 3), 1),
        ((1, 260, 7, 6), jnp.float32, (3, 3), 65),
    ],
    ids=["of many taps a channel", "of another type", "of nothing", "of many groups"],
)
def test_other_convolutions_are_left_to_other_forms(shape, dtype, kernel, groups):
    window = Window(kernel, ONES, ONES, ONES)
    assert not convolution_onednn.fits(shape, dtype, (shape[1], shape[1] // groups, *kernel), window, groups)


def test_so_are_several_outputs_of_one_channel():
    assert not convolution_onednn.fits((2, 8, 7, 6), jnp.float32, (16, 1, 3, 3), Window((3, 3), ONES, ONES, ONES), 8)


def test_so_are_those_of_one_or_three_axes():
    assert not convolution_onednn.fits((2, 8, 7), jnp.float32, (4, 8, 3), Window((3,), (1,), (1,), (1,)), 1)
