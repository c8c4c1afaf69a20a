"""Learning-rate policies against their formulas in double precision, and a rate that Caffe logged."""

import math

import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver import lr_policy, schedules

FORMULAS = [
    ('lr_policy: "fixed"', lambda t: 1),
    ('lr_policy: "step" gamma: 0.5 stepsize: 10', lambda t: 0.5 ** (t // 10)),
    ('lr_policy: "exp" gamma: 0.99', lambda t: 0.99**t),
    ('lr_policy: "inv" gamma: 1e-4 power: 0.75', lambda t: (1 + 1e-4 * t) ** -0.75),
    ('lr_policy: "poly" power: 2 max_iter: 1000', lambda t: (1 - t / 1000) ** 2),
    ('lr_policy: "sigmoid" gamma: 0.01 stepsize: 500', lambda t: 1 / (1 + math.exp(-0.01 * (t - 500)))),
]


def _param(settings: str) -> pb.SolverParameter:
    return text.parse(f"base_lr: 0.02 {settings}", pb.SolverParameter)


@pytest.mark.parametrize(("settings", "formula"), FORMULAS, ids=lambda x: x if isinstance(x, str) else "")
@pytest.mark.parametrize("iteration", [0, 1, 9, 10, 11, 500, 999])
def test_rate_follows_the_formula(settings, formula, iteration):
    rate, _ = schedules.learning_rate(_param(settings), iteration, 0)
    assert rate == pytest.approx(0.02 * formula(iteration), rel=2e-5)


def test_rate_equals_the_one_that_caffe_logged():
    param = text.parse('base_lr: 0.01 lr_policy: "inv" gamma: 0.0001 power: 0.75', pb.SolverParameter)
    assert f"{schedules.learning_rate(param, 180, 0)[0]:g}" == "0.00986709"


def test_multistep_drops_once_an_iteration():
    """Caffe's current_step goes up by one at most, so a state without it catches up slowly."""
    param = _param('lr_policy: "multistep" gamma: 0.1 stepvalue: 10 stepvalue: 20')
    rates, step = [], 0
    for iteration in (9, 10, 19, 20, 21):
        rate, step = schedules.learning_rate(param, iteration, step)
        rates.append(float(rate))
    assert rates == pytest.approx([0.02, 0.002, 0.002, 0.0002, 0.0002])
    assert schedules.learning_rate(param, 30, 0)[1] == 1


def test_multistep_takes_values_that_do_not_rise_as_caffe_does():
    """One after the other: the second is reached already when its turn comes."""
    param = _param('lr_policy: "multistep" gamma: 0.1 stepvalue: 20 stepvalue: 10 stepvalue: 30')
    rates, step = [], 0
    for iteration in (10, 19, 20, 21, 22, 30):
        rate, step = schedules.learning_rate(param, iteration, step)
        rates.append(float(rate))
    assert rates == pytest.approx([0.02, 0.02, 0.002, 0.0002, 0.0002, 0.00002])


def test_poly_is_zero_behind_its_end():
    assert schedules.learning_rate(_param('lr_policy: "poly" power: 0.5 max_iter: 10'), 11, 0)[0] == 0


def test_every_policy_that_has_a_name_has_a_formula():
    assert list(schedules.POLICIES) == list(lr_policy.NEEDS)
