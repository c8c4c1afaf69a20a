"""What the rules' steps are is in test_recorded; here is what those few steps do not show."""

import pytest

from engine.proto import caffe_pb2 as pb
from engine.solver import updates


def test_adam_corrects_its_first_steps():
    """c = √(1 − β₂^t) / (1 − β₁^t): 0.1 · √0.001-like at the first iteration, 1 in the end."""
    update = updates.from_solver(pb.SolverParameter(type="Adam", momentum=0.9, momentum2=0.999))
    assert update.correction(0, 0.9) == pytest.approx((1 - 0.999) ** 0.5 / (1 - 0.9), rel=1e-4)
    assert update.correction(100_000, 0.9) == pytest.approx(1)
