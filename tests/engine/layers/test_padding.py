"""Padding: against numpy's."""

import numpy as np
from support.layer_cases import Case, Cases, check_refused

X = {"x": (2, 3, 4, 5)}
PADDING = 'type: "Padding" padding_param {{ {} }}'.format


class TestCases(Cases):
    cases = (
        Case("zeros", PADDING("pad_beg: 1 pad_end: 2"), X, lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (1, 2)))),
        Case("cut", PADDING("pad_beg: -1 pad_end: -2"), X, lambda x: x[:, :, 1:-2, 1:-2]),
        Case("cut at the end", PADDING("pad_end: -1"), X, lambda x: x[:, :, :-1, :-1]),
        Case("nothing", PADDING(""), X, lambda x: x),
    )


def test_wrong_configuration_is_refused():
    check_refused(PADDING("pad_beg: 1 pad_end: -1"), X, "pad_beg is 1 and pad_end -1; give both")
    check_refused(PADDING("pad_beg: -2 pad_end: -2"), X, "pad_beg -2 and pad_end -2 leave nothing of 4×5")
    check_refused(PADDING("pad_beg: 1"), {"x": (3, 4)}, r"\[3, 4\]")
