"""What update rules refuse; what they compute is in test_recorded."""

import pytest

from engine.errors import SolverError
from engine.proto import caffe_pb2 as pb
from engine.solver import updates


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "sgd"}, 'unknown solver type "sgd"; there are SGD, .*Did you mean "SGD"'),
        ({"type": "Adamax"}, 'unknown solver type "Adamax".*Did you mean "Adam"'),
        ({"type": "AdaGrad", "momentum": 0.9}, "AdaGrad has no momentum"),
        ({"type": "RMSProp", "momentum": 0.9}, "RMSProp has no momentum"),
        ({"type": "RMSProp", "rms_decay": 1.0}, r"rms_decay is 1; it must lie in \[0, 1\)"),
        ({"type": "Adam", "momentum": 1.0}, r"momentum is 1; for Adam it must lie in \[0, 1\)"),
        ({"type": "Adam", "momentum2": -0.5}, r"momentum2 is -0.5; for Adam"),
        ({"type": "AdaDelta", "momentum": 1.5}, r"momentum is 1.5; for AdaDelta"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SolverError, match=message):
        updates.from_solver(pb.SolverParameter(**settings))


def test_adam_corrects_its_first_steps():
    """c = √(1 − β₂^t) / (1 − β₁^t): 0.1 · √0.001-like at the first iteration, 1 in the end."""
    update = updates.from_solver(pb.SolverParameter(type="Adam", momentum=0.9, momentum2=0.999))
    assert update.correction(0, 0.9) == pytest.approx((1 - 0.999) ** 0.5 / (1 - 0.9), rel=1e-4)
    assert update.correction(100_000, 0.9) == pytest.approx(1)
