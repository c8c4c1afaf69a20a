import numpy as np
import pytest

from engine.errors import SolverError
from engine.solver import detection_scores

FINDS = np.array([[0.9, 1], [0.8, 0], [0.7, 1], [0.2, 0]])
"""Precisions 1, 1/2, 2/3, 1/2 at recalls 1/4, 1/4, 2/4, 2/4 of four boxes."""


@pytest.mark.parametrize(
    ("version", "want"),
    [("Integral", 1 / 4 + 2 / 12), ("MaxIntegral", 1 / 4 + 2 / 12), ("11point", (3 * 1 + 3 * 2 / 3) / 11)],
)
def test_average_precision_is_the_area_below_the_curve(version, want):
    assert detection_scores.average_precision(FINDS[::-1], 4, version) == pytest.approx(want)


def test_the_largest_precision_of_a_higher_recall_counts():
    worse_first = np.array([[0.9, 0], [0.8, 1], [0.7, 1]])
    assert detection_scores.average_precision(worse_first, 2, "MaxIntegral") == pytest.approx(2 / 3)
    assert detection_scores.average_precision(worse_first, 2, "Integral") == pytest.approx((1 / 2 + 2 / 3) / 2)


def batch(*rows):
    return np.array(rows, np.float32)[None, None]


def test_batches_are_judged_together_and_classes_without_finds_are_zero():
    one = batch([-1, 1, 1, -1, -1], [-1, 2, 1, -1, -1], [0, 1, 0.9, 1, 0])
    two = batch([-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1], [0, 1, 0.8, 0, 1], [0, 1, 0.7, 0, 0])
    found = detection_scores.scores([one, two], "Integral")
    assert found.of_class == {1: 0.5, 2: None}
    assert found.mean == 0.25


def test_an_output_of_another_shape_is_refused():
    with pytest.raises(SolverError, match="makes rows of 5 values"):
        detection_scores.scores([np.zeros((1, 1, 2, 7))], "Integral")
