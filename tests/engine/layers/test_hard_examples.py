"""BoxAnnotatorOHEM: the hardest regions of each picture."""

import numpy as np
import pytest
from support.layer_cases import Case, check_export, check_formula, check_gradient, check_refused

LAYER = 'type: "BoxAnnotatorOHEM" box_annotator_ohem_param { roi_per_img: 2 ignore_label: -3 }'
PICTURES = np.array([1, 0, 1, 1, 0, 1])
LOSSES = np.array([0.5, 2, 3, 0.5, 1, 0.1])
HARD = np.array([1, 1, 1, 0, 1, 0])
BOTTOMS = {
    "rois": np.concatenate([PICTURES[:, None], np.ones((6, 4))], 1),
    "losses": LOSSES,
    "labels": np.arange(6.0),
    "weights": (6, 8),
}


def annotated(rois, losses, labels, weights):
    chosen = np.where(HARD, labels, -3).reshape(6, 1, 1, 1)
    return chosen, (weights * HARD[:, None]).reshape(6, 8, 1, 1)


CASE = Case("the hardest two of each picture", LAYER, BOTTOMS, annotated, tops=2)


@pytest.mark.parametrize("check", [check_formula, check_gradient, check_export])
def test_the_hardest_regions_keep_their_labels(check):
    check(CASE)


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "BoxAnnotatorOHEM"', {}, "needs roi_per_img"),
        (LAYER, {"rois": (6, 4)}, "R × 5"),
        (LAYER, {"losses": (5,)}, "6 values are needed"),
        (LAYER, {"weights": (5, 8)}, "6 × K × 1 × 1"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, {**BOTTOMS, **bottoms}, message, tops=2)
