"""Interp and Resize: planes of another size."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused

X = {"x": (1, 2, 5, 7)}
INTERP = 'type: "Interp" interp_param {{ {} }}'.format


def interpolated(x, rows, columns):
    def along(x, size, axis):
        x = np.moveaxis(x, axis, 0)
        places = np.linspace(0, len(x) - 1, size)
        low = np.minimum(places.astype(int), len(x) - 2)
        part = (places - low).reshape(-1, 1, 1, 1)
        return np.moveaxis(x[low] * (1 - part) + x[low + 1] * part, 0, axis)

    return along(along(x, rows, 2), columns, 3)


def along_edges(outputs, size):
    """The weights of Resize: (outputs, size), one output at a time."""
    weights = np.zeros((outputs, size))
    for i in range(outputs):
        low, part = divmod(i * size / outputs, 1)
        weights[i, int(low)] = 1 - part
        if low + 1 < size:
            weights[i, int(low) + 1] = part
    return weights


def resized(height, width):
    def formula(x):
        rows, columns = along_edges(height, x.shape[2]), along_edges(width, x.shape[3])
        return np.stack([[rows @ plane @ columns.T for plane in item] for item in x])

    return formula


RESIZE = 'type: "Resize" resize_param {{ {} }}'.format
BY_FACTORS = "is_pyramid_test: true out_height_scale: 1.5 out_width_scale: 0.5"
CASES = [
    Case("resized", RESIZE("height: 8 width: 10"), X, resized(8, 10)),
    Case("resized to fewer", RESIZE("height: 2 width: 7"), X, resized(2, 7)),
    Case("resized by factors", RESIZE(BY_FACTORS + " type: BILINEAR"), X, resized(7, 3)),
    Case("a size", INTERP("height: 3 width: 10"), X, lambda x: interpolated(x, 3, 10)),
    Case("zoom", INTERP("zoom_factor: 3"), X, lambda x: interpolated(x, 13, 19)),
    Case("shrink", INTERP("shrink_factor: 2"), X, lambda x: x[:, :, ::2, ::2]),
    Case("shrink, then zoom", INTERP("shrink_factor: 2 zoom_factor: 2"), X, lambda x: interpolated(x, 5, 7)),
    Case("cropped", INTERP("height: 4 width: 6 pad_beg: -1 pad_end: 0"), X, lambda x: x[:, :, 1:, 1:]),
    Case("of one element", INTERP("height: 2 width: 3"), {"x": (1, 2, 1, 1)}, lambda x: np.tile(x, (2, 3))),
    Case("to one element", INTERP("height: 1 width: 1"), X, lambda x: x[:, :, :1, :1]),
]


class TestCases(Cases):
    cases = CASES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "needs height and width, or zoom_factor, or shrink_factor"),
        ("height: 3", "needs height and width"),
        ("zoom_factor: 0", "must be 1 or more"),
        ("height: 0 width: 3", "must be 1 or more"),
        ("zoom_factor: 2 pad_beg: 1", "must be 0 or below"),
        ("zoom_factor: 2 pad_beg: -5", "leave nothing of 5×7"),
    ],
)
def test_wrong_configuration_is_refused(options, message):
    check_refused(INTERP(options), X, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("height: 3", "needs height and width, since is_pyramid_test is false"),
        ("is_pyramid_test: true height: 3 width: 3", "needs out_height_scale and out_width_scale"),
        ("height: 3 width: 3 type: NEAREST", "its type is NEAREST"),
        ("height: 0 width: 3", "it makes 0×3 of 5×7"),
        ("is_pyramid_test: true out_height_scale: -1 out_width_scale: 1", "out_height_scale is -1"),
        ("is_pyramid_test: true out_height_scale: inf out_width_scale: 1", "out_height_scale is inf"),
        ("is_pyramid_test: true out_height_scale: 0.1 out_width_scale: 1", "it makes 0×7 of 5×7"),
        ("height: 2147483647 width: 3", "would take"),
    ],
)
def test_wrong_size_is_refused(options, message):
    check_refused(RESIZE(options), X, message)
