"""InnerDistance: against loops; its gradients as its fork has them are among the recorded cases."""

import jax.numpy as jnp
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused

X, W = (3, 4), (5, 4)
LAYER = 'type: "InnerDistance" inner_distance_param {{ {} }}'.format


def distances(x, w, power=2):
    return np.array([[(np.abs(a - b) ** power).sum() for b in w] for a in x])


CASES = [
    Case("centres of its own", LAYER("num_output: 5"), {"x": X}, distances),
    Case("centres beside it", LAYER("axis: 2"), {"x": (1, 3, 4), "w": W}, lambda x, w: distances(x[0], w)[None]),
]


class TestCases(Cases):
    cases = CASES


def test_distances_may_be_absolute():
    case = Case("l1", LAYER('num_output: 5 distance_type: "L1"'), {"x": X})
    params, bottoms = case.values()
    assert_close(case.run(params, bottoms)[0], distances(bottoms["x"], params[0], 1))


def test_centres_of_a_bottom_are_not_normalized(caplog):
    case = Case("given", LAYER("normalize: true"), {"x": X, "w": W})
    params, bottoms = case.values()
    assert_close(case.run(params, bottoms)[0], distances(bottoms["x"], bottoms["w"]))
    assert "normalize has no effect on centres from a bottom" in caplog.text


def test_normalized_centres_stay_so():
    case = Case("normalized", LAYER("num_output: 5 normalize: true"), {"x": X})
    params, bottoms = case.values()
    made = case.net.forward(params, bottoms, keep=True)
    unit = params[0] / np.sqrt((params[0] ** 2).sum(1, keepdims=True) + 1e-6)
    assert_close(made.outputs["y0"], distances(bottoms["x"], unit))
    assert_close(jnp.stack(list(made.updates.values()))[0], unit)


@pytest.mark.parametrize(
    ("options", "bottoms", "message"),
    [
        ("", {"x": X}, "needs num_output of 1 or more"),
        ("num_output: 5", {"x": (3, 0)}, "an item must have 1 value or more"),
        ("num_output: 5 transpose: true", {"x": X}, "transpose is true"),
        ('num_output: 5 distance_type: "L3"', {"x": X}, 'distance_type "L3"; it takes'),
        ("num_output: 5 update_center_only: true", {"x": X}, "it has 1 bottoms; it takes features and centres"),
        ("", {"x": X, "w": (5, 3)}, r'"w" has shape \[5, 3\]; 4 values per centre'),
        ("update_center_only: true", {"x": X, "w": W, "l": (2,)}, r'"l" has shape \[2\]; 3 labels are needed'),
    ],
)
def test_wrong_configuration_is_refused(options, bottoms, message):
    check_refused(LAYER(options), bottoms, message)
