"""Layers whose tests are no table of cases, and those that draw at random: what they are on a GPU."""

import numpy as np
import pytest
from support.layer_cases import Case, check_export

MAPS, LABELS = (2, 3, 6, 7), np.zeros((2, 1, 6, 7))
STOCHASTIC = 'type: "Pooling" pooling_param {{ pool: STOCHASTIC kernel_size: {} stride: 2 }}'.format
CASES = [
    Case("dropout", 'type: "Dropout"', {"x": MAPS}),
    Case("spatial dropout", 'type: "SpatialDropout"', {"x": MAPS}),
    Case("stochastic pooling", STOCHASTIC(3), {"x": MAPS}),
    Case("stochastic pooling, a whole plane", STOCHASTIC(7), {"x": MAPS}),
    Case(
        "hard examples",
        'type: "BoxAnnotatorOHEM" box_annotator_ohem_param { roi_per_img: 2 }',
        {"rois": (4, 5), "loss": (4, 1, 1, 1), "labels": (4, 1, 1, 1), "weights": (4, 8, 1, 1)},
        tops=2,
    ),
    Case("softmax of hard ones", 'type: "SoftmaxWithLossOHEM"', {"x": MAPS, "labels": LABELS}, tops=3),
    Case("smooth l1 of hard ones", 'type: "SmoothL1LossOHEM"', {"x": MAPS, "y": MAPS}, tops=2),
    Case("label's own margin", 'type: "LabelSpecificAdd"', {"x": (4, 5), "labels": np.arange(4.0)}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)
