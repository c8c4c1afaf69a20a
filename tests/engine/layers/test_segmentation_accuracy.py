"""SegAccuracy: accuracy, mean recall, mean intersection over union."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused

LAYER = 'type: "SegAccuracy" seg_accuracy_param {{ ignore_label: 255 {} }}'.format
LABELS = np.array([0, 1, 1, 255, 0, 1.0]).reshape(1, 1, 2, 3)
PREDICTED = np.array([0, 1, 0, 2, 2, 1])
SCORES = np.eye(3)[PREDICTED].T.reshape(1, 3, 2, 3)
FIGURES = np.array([3 / 5, (1 / 2 + 2 / 3) / 2, (1 / 3 + 2 / 3 + 0) / 3]).reshape(1, 1, 1, 3)
BOTTOMS = {"scores": SCORES, "labels": LABELS}


class TestCases(Cases):
    cases = (Case("one ignored, one class never right", LAYER(""), BOTTOMS, lambda x, labels: FIGURES),)


def test_of_equal_scores_the_last_class_is_predicted():
    case = Case("equal", LAYER(""), BOTTOMS)
    (y,) = case.run([], {"scores": np.zeros((1, 3, 2, 3), np.float32), "labels": np.full((1, 1, 2, 3), 2, np.float32)})
    assert_close(y, np.ones((1, 1, 1, 3)))


def test_a_class_neither_there_nor_predicted_overlaps_wholly():
    case = Case("absent", LAYER(""), {"scores": (1, 3, 2, 3), "labels": LABELS})
    scores = np.eye(3, dtype=np.float32)[[0, 1, 0, 1, 0, 1]].T.reshape(1, 3, 2, 3)
    (y,) = case.run([], {"scores": scores, "labels": LABELS.astype(np.float32)})
    assert_close(y.ravel(), [4 / 5, (1 + 2 / 3) / 2, (2 / 3 + 2 / 3 + 1) / 3])


def test_without_reset_the_confusion_goes_on():
    case = Case("goes on", LAYER("reset: false"), BOTTOMS)
    net, bottoms = case.net, {name: v.astype(np.float32) for name, v in BOTTOMS.items()}
    first = net.forward(net.init(seed=0), bottoms)
    (confusion,) = first.updates.values()
    assert confusion.sum() == 5
    wrong = {**bottoms, "scores": np.roll(bottoms["scores"], 1, axis=1)}
    (y,) = case.run([confusion], wrong)
    assert 0 < y[0, 0, 0, 0] < 0.6


def test_a_label_that_is_no_class_gives_nan():
    case = Case("no class", LAYER(""), BOTTOMS)
    (y,) = case.run([], {"scores": SCORES.astype(np.float32), "labels": np.full((1, 1, 2, 3), 7, np.float32)})
    assert np.isnan(y).any()


def test_other_shapes_are_refused():
    check_refused(LAYER(""), {"scores": (1, 3, 2, 3), "labels": (1, 2, 3)}, r"\(N, C, H, W\) and \(N, 1, H, W\)")
    check_refused(LAYER(""), {"scores": (1, 0, 2, 3), "labels": (1, 1, 2, 3)}, "it needs one class or more")


@pytest.mark.parametrize("reset", ["true", "false"])
def test_both_forms_have_one_top(reset):
    assert Case("tops", LAYER(f"reset: {reset}"), BOTTOMS).net.blob_shapes["y0"] == (1, 1, 1, 3)
