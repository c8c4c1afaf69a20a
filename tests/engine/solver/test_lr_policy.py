import numpy as np
import pytest

from engine.errors import SolverError
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver import lr_policy, schedules


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("base_lr: 1", "lr_policy is missing"),
        ('base_lr: 1 lr_policy: "setp"', 'unknown lr_policy "setp".*fixed, step.*Did you mean "step"'),
        ('lr_policy: "fixed"', "base_lr is missing"),
        ('base_lr: 1 lr_policy: "step" gamma: 0.1', '"step" needs stepsize'),
        ('base_lr: 1 lr_policy: "step" gamma: 0.1 stepsize: 0', "stepsize is 0; it must be positive"),
        ('base_lr: 1 lr_policy: "exp" gamma: -1', "gamma is -1; it may not be negative"),
        ('base_lr: 1 lr_policy: "plateau" stepsize: 1', '"plateau" needs gamma'),
        ('base_lr: 1 lr_policy: "poly" power: 1', '"poly" needs max_iter'),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SolverError, match=message):
        lr_policy.check(text.parse(settings, pb.SolverParameter))


def test_gamma_and_power_that_are_missing_count_as_0_as_caffe_has_it():
    param = text.parse('base_lr: 0.1 lr_policy: "inv"', pb.SolverParameter)
    lr_policy.check(param)
    assert schedules.learning_rate(param, 3, 0)[0] == np.float32(0.1)
    assert lr_policy.taken_for_zero(param) == [
        f'lr_policy "inv" uses {field}, which is missing and counts as 0' for field in ("gamma", "power")
    ]


def test_multistep_takes_values_that_do_not_rise():
    lr_policy.check(
        text.parse('base_lr: 1 lr_policy: "multistep" gamma: 0.1 stepvalue: 20 stepvalue: 10', pb.SolverParameter)
    )
