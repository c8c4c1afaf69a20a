"""Interp: planes of another size."""

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


CASES = [
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
