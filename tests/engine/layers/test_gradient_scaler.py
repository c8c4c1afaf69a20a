"""GradientScaler: its factor over the iterations against its fork's formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.layer_cases import Case, check_export, check_formula, check_refused

LAYER = 'type: "GradientScaler" gradient_scaler_param {{ {} }}'.format
SCHEDULE = "lower_bound: 0.25 upper_bound: 2 alpha: 4 max_iter: 10"
CASES = [
    Case("one", LAYER(""), {"x": (2, 3)}, lambda x, iteration: x),
    Case("two", LAYER(""), {"a": (2, 3), "b": (4,)}, lambda a, b, iteration: (a, b), tops=2),
]


def factor(options, iteration):
    """dx / dy where the solver counts this iteration from 1."""
    case = Case("factor", LAYER(options), {"x": (3,)})

    def total(x):
        return jnp.sum(case.run([np.float32(iteration)], {"x": x})[0])

    dx = np.asarray(case.net.compile(jax.grad(total))(np.ones(3, np.float32)))
    assert np.ptp(dx) == 0
    return dx[0]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_are_the_bottoms(case):
    check_formula(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)


@pytest.mark.parametrize("done", [0, 1, 7, 10, 25])
def test_factor_rises_with_the_iterations_done(done):
    progress = min(1, done / 10)
    want = 2 * 1.75 / (1 + np.exp(-4 * progress)) - 1.75 + 0.25
    assert factor(SCHEDULE, done + 1) == pytest.approx(-want, rel=1e-6)


@pytest.mark.parametrize("done", [0, 5, 6, 12, 40])
def test_factor_is_zero_up_to_the_threshold(done):
    rises = 2 * 1.75 / (1 + np.exp(-4 * min(1, (done - 5) / 15))) - 1.75 + 0.25
    assert factor(SCHEDULE + " threshold_iter: 5", done + 1) == pytest.approx(-rises if done > 5 else 0, rel=1e-6)


def test_gradient_is_only_turned_round_where_no_solver_trains():
    assert factor(SCHEDULE, 0) == -1


@pytest.mark.parametrize(
    ("options", "tops", "message"),
    [
        ("", 2, "it has 2 tops for its 1 bottoms"),
        ("lower_bound: 2", 1, "lower_bound is 2, above upper_bound: 1"),
        ("alpha: -1", 1, "alpha is -1 and max_iter 1"),
        ("max_iter: 0", 1, "max_iter 0; give 0 or more, and 1 or more"),
    ],
)
def test_wrong_configuration_is_refused(options, tops, message):
    check_refused(LAYER(options), {"x": (3,)}, message, tops)
