"""Convolution3D, Deconvolution3D and Pooling3D, against sums over every window."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused, slopes

X = {"x": (1, 2, 3, 4, 4)}
CONV = 'type: "{}" convolution3d_param {{ num_output: 2 kernel_size: 2 kernel_depth: 3 {} }}'.format
POOL = 'type: "Pooling3D" pooling3d_param {{ kernel_size: 3 kernel_depth: 2 stride: 2 {} }}'.format


def windows(x, kernel, stride, pad, ends):
    """The elements under each window, (…, l, h, w, count), and its size within the padded video."""
    n = [
        -(-(s + 2 * p - k) // t) + 1 if ends else (s + 2 * p - k) // t + 1
        for s, k, t, p in zip(x.shape[2:], kernel, stride, pad, strict=True)
    ]
    wide = np.pad(x, [(0, 0), (0, 0), *((p, p + k) for p, k in zip(pad, kernel, strict=True))], constant_values=np.nan)
    for at in np.ndindex(*n):
        here = tuple(slice(i * t, i * t + k) for i, t, k in zip(at, stride, kernel, strict=True))
        inside = [min(k, s + 2 * p - i * t) for s, k, t, p, i in zip(x.shape[2:], kernel, stride, pad, at, strict=True)]
        yield at, wide[:, :, *here], np.prod(inside)


def pooled(x, pad=0, average=False):
    tops = np.zeros((*x.shape[:2], 2, 2, 2)) if not pad else np.zeros((*x.shape[:2], 2, 3, 3))
    for at, values, size in windows(x, (2, 3, 3), (1, 2, 2), (0, pad, pad), ends=True):
        tops[:, :, *at] = np.nansum(values, (2, 3, 4)) / size if average else np.nanmax(values, (2, 3, 4))
    return tops


def convolved(x, w, b):
    y = np.zeros((1, 2, 3, 3, 3)) + b.reshape(1, -1, 1, 1, 1)
    for at, values, _ in windows(
        np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1), (1, 1)]), (3, 2, 2), (1, 2, 2), (0, 0, 0), ends=False
    ):
        y[:, :, *at] += np.einsum("nclhw,mclhw->nm", values, w)
    return y


def transposed(x, w, b):
    y = np.zeros((1, 2, 5, 5, 5)) + b.reshape(1, -1, 1, 1, 1)
    for at in np.ndindex(3, 4, 4):
        i, j, k = at
        y[:, :, i : i + 3, j : j + 2, k : k + 2] += np.einsum("nc,cmlhw->nmlhw", x[:, :, *at], w)
    return y


class TestCases(Cases):
    cases = (
        Case("convolution", CONV("Convolution3D", "pad: 1 temporal_pad: 1 stride: 2"), X, convolved),
        Case("maximum", POOL(""), X, pooled),
        Case("average", POOL("pool: AVE pad: 1"), X, lambda x: pooled(x, 1, average=True)),
    )


@pytest.mark.slow
class TestSlowCases(Cases):
    cases = (Case("deconvolution", CONV("Deconvolution3D", ""), X, transposed),)


def test_all_that_is_as_large_as_the_maximum_has_its_gradient():
    (gradient,) = slopes(POOL(""), x=np.ones((1, 1, 2, 3, 3)))
    assert_close(gradient, np.ones((1, 1, 2, 3, 3)))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (CONV("Convolution3D", ""), {"x": (1, 2, 4, 4)}, "num, channels, length, height, width"),
        (CONV("Convolution3D", ""), {"x": (1, 2, 2, 4, 4)}, "a 3×2×2 kernel with pad 0×0×0 makes 0×3×3"),
        (CONV("Convolution3D", "stride: 0"), X, "strides of 1 or more"),
        (POOL("pad: 1"), X, "C3D pads only averages"),
        (POOL("pool: STOCHASTIC"), X, "does not exist in C3D either"),
        (POOL(""), {"x": (1, 2, 1, 2, 2)}, "2×3×3 windows do not fit"),
        (POOL("temporal_stride: 0"), X, "strides of 1 or more"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
