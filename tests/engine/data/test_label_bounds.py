"""Which labels a layer takes."""

import numpy as np
import pytest

from engine.data.label_bounds import LabelBounds


@pytest.mark.parametrize("ignore", [None, 255, 1])
def test_labels_outside_are_those_that_are_no_class(ignore):
    labels = [0, 2, 3, -1, np.nan, np.inf, -np.inf, 255, 2.5, 1e20]
    outside = LabelBounds(3, ignore).outside(np.float32(labels))
    wrong = {3, -1, np.inf, -np.inf, 255, 1e20} - {ignore}
    np.testing.assert_array_equal(outside, [x in wrong or x != x for x in labels])


def test_a_target_that_is_no_class_is_any_finite_number():
    bounds = LabelBounds(None, layer='layer "loss" (EuclideanLoss)')
    np.testing.assert_array_equal(bounds.outside(np.float32([-7, 1e30, np.nan, np.inf, -np.inf])), [0, 0, 1, 1, 1])
    assert bounds.complaint(float("nan"), "y").startswith('nan in "y", and layer "loss" (EuclideanLoss) takes finite')
