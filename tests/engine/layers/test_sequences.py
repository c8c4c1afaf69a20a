import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused


class TestCases(Cases):
    cases = (
        Case(
            "reversed",
            'type: "ReverseTime" reverse_time_param { copy_remaining: true }',
            {"x": (3, 2, 2), "n": np.array([2, 3])},
            lambda x, n: np.stack([x[[1, 0, 2], 0], x[::-1, 1]], axis=1),
        ),
    )


@pytest.mark.parametrize(
    ("param", "bottoms"), [("batch_size: 2", {}), ("axis: 1", {"x": (5, 2)})], ids=["told", "as a bottom's"]
)
def test_indicators_begin_with_0(param, bottoms):
    layer = f'type: "ContinuationIndicator" continuation_indicator_param {{ time_step: 3 {param} }}'
    (top,) = Case("indicators", layer, bottoms).run([], {name: np.zeros(b) for name, b in bottoms.items()})
    assert np.array_equal(top, [[0, 0], [1, 1], [1, 1]])


def test_behind_what_is_reversed_there_is_nothing():
    case = Case("reversed", 'type: "ReverseTime"', {"x": (3, 1), "n": (1,)})
    assert np.array_equal(case.run([], {"x": np.float32([[1], [2], [3]]), "n": np.array([2])})[0], [[2], [1], [0]])


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "ContinuationIndicator"', {}, "needs time_step, and batch_size or a bottom"),
        ('type: "ReverseTime"', {"x": (4, 3), "n": (4,)}, "the number of steps of each item"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
