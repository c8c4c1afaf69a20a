"""Local."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused

X = {"x": (2, 3, 5, 4)}
LOCAL = 'type: "Local" local_param {{ num_output: 2 {} }}'.format


def local(kernel, stride, pad):
    def formula(x, w, b):
        x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
        rows, columns = ((n - kernel) // stride + 1 for n in x.shape[2:])
        y = np.zeros((len(x), 2, rows, columns))
        for i, j in np.ndindex(rows, columns):
            under = x[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel].reshape(len(x), -1)
            y[..., i, j] = under @ w[:, 0, :, i * columns + j].T + b[0, 0, :, i * columns + j]
        return y

    return formula


class TestCases(Cases):
    cases = (
        Case("kernel 3", LOCAL("kernel_size: 3"), X, local(3, 1, 0)),
        Case("stride and pad", LOCAL("kernel_size: 3 stride: 2 pad: 1"), X, local(3, 2, 1)),
        Case(
            "no bias", LOCAL("kernel_size: 2 bias_term: false"), X, lambda x, w: local(2, 1, 0)(x, w, 0 * w[:1, :, :2])
        ),
    )


@pytest.mark.parametrize(
    ("options", "bottoms", "message"),
    [
        ("", X, "needs kernel_size of 1 or more"),
        ("kernel_size: 3 stride: 0", X, "needs stride of 1 or more"),
        ("kernel_size: 6", X, "a 6×6 kernel does not fit"),
        ("kernel_size: 1", {"x": (3, 4)}, "4 axes are needed"),
    ],
)
def test_wrong_configuration_is_refused(options, bottoms, message):
    check_refused(LOCAL(options), bottoms, message)
