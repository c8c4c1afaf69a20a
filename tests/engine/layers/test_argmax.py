"""ArgMax."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused

X = {"x": (2, 3, 4)}
TIES = np.array([[1.0, 3, 3, 0], [2, 2, 2, 2]])
ARG = 'type: "ArgMax" argmax_param {{ {} }}'.format


def largest(x, k):
    """Caffe's order along the last axis: by value, then by index, both falling."""
    order = np.lexsort((np.broadcast_to(np.arange(x.shape[-1]), x.shape), x), axis=-1)[..., ::-1][..., :k]
    return order, np.take_along_axis(x, order, -1)


CASES = [
    Case("argmax", 'type: "ArgMax"', X, lambda x: largest(x.reshape(2, -1), 1)[0][:, None]),
    Case("argmax 2 axes", ARG("top_k: 2"), {"x": (3, 5)}, lambda x: largest(x, 2)[0][:, None]),
    Case(
        "argmax 4 axes",
        ARG("top_k: 2"),
        {"x": (2, 3, 2, 2)},
        lambda x: largest(x.reshape(2, -1), 2)[0].reshape(2, 1, 2, 1),
    ),
    Case(
        "argmax and values", ARG("top_k: 3 out_max_val: true"), X, lambda x: np.stack(largest(x.reshape(2, -1), 3), 1)
    ),
    Case("argmax along an axis", ARG("axis: -1 top_k: 2"), X, lambda x: largest(x, 2)[0]),
    Case("values along an axis", ARG("axis: 1 out_max_val: true"), X, lambda x: x.max(1, keepdims=True)),
    Case("argmax of ties", ARG("axis: 1 top_k: 3"), {"x": TIES}, lambda x: largest(x, 3)[0]),
]


class TestCases(Cases):
    cases = CASES


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (ARG("top_k: 1"), {"x": ()}, '"x" is a scalar'),
        (ARG("top_k: 0"), X, "top_k 0 is not 1 to 12"),
        (ARG("top_k: 13"), X, "top_k 13 is not 1 to 12"),
        (ARG("top_k: 4 axis: 1"), X, "top_k 4 is not 1 to 3"),
        (ARG("axis: 3"), X, "axis 3 is not one of"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
