"""DetectionLoss, which recorded values tell the whole of, and EvalDetection."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused, slopes

OPTIONS = "side: 2 num_class: 3 num_object: 2"
LOSS = f'type: "DetectionLoss" detection_loss_param {{{{ {OPTIONS} {{}} }}}}'.format
EVAL = f'type: "EvalDetection" eval_detection_param {{{{ {OPTIONS} {{}} }}}}'.format
SHAPES = {"x": (2, 52), "labels": (2, 28)}
BOX = [0.75, 0.25, 0.4, 0.3]


def bottoms(confidences=(0.9, 0.2), boxes=(BOX, [0.7, 0.25, 0.4, 0.3]), difficult=0):
    """One picture with a box of class 2 at place 1, and two predictions of it there, scored 0.8 for that class."""
    labels, x = np.zeros(28), np.zeros((13, 4))
    labels[[1, 5, 9]] = difficult, 1, 2
    labels[16:20] = BOX
    x[2, 1], x[3:5, 1], x[5:, 1] = 0.8, confidences, np.ravel(boxes)
    return {"x": x.reshape(1, 52), "labels": labels[None]}


def test_where_there_is_no_box_confidences_go_towards_0():
    (gradient,) = slopes(LOSS("noobject_scale: 0.5"), x=np.ones((1, 52)), labels=np.zeros((1, 28)))
    want = np.zeros((13, 4))
    want[3:5] = 0.5
    assert_close(gradient.reshape(13, 4), want)


@pytest.mark.parametrize("places", ["constriant: true sqrt: true", "sqrt: false"])
def test_a_right_prediction_is_left_as_it_is(places):
    at = [0.5, 0.5, 0.4**0.5, 0.3**0.5] if "true" in places else BOX
    given = bottoms(confidences=(1, 0), boxes=(at, [9, 9, 9, 9]))
    given["x"].reshape(13, 4)[2, 1] = 1
    (gradient,) = slopes(LOSS(places), **given)
    assert_close(gradient, 0 * gradient)


def test_a_step_of_the_loss_lowers_for_cuda():
    check_export(Case("step", LOSS(""), SHAPES))


def evaluated(options="sqrt: false constriant: false", **given):
    given = bottoms(**given)
    case = Case("evaluation", EVAL(options), given)
    row = np.asarray(case.run([], case.values()[1])[0])[0]
    return row[:3], row[3:].reshape(-1, 4)


def test_the_best_prediction_of_a_box_is_right_and_another_wrong():
    counts, rows = evaluated()
    assert counts.tolist() == [0, 0, 1]
    assert_close(rows[-2:], [[2, 0.72, 1, 0], [2, 0.16, 0, 1]])
    assert_close(rows[:-2], [[0, 0, 0, 1]] * 6)


@pytest.mark.parametrize(("kind", "score"), [("OBJ", 0.9), ("PROB", 0.8), ("MULTIPLY", 0.72)])
def test_the_score_is_of_the_kind_asked_for(kind, score):
    assert evaluated(f"sqrt: false constriant: false score_type: {kind}")[1][-2, 1] == pytest.approx(score)


def test_a_prediction_of_a_difficult_box_is_neither_right_nor_wrong():
    counts, rows = evaluated(difficult=1)
    assert not counts.any()
    assert_close(rows[-2:, 2:], [[0, 0], [0, 0]])


def test_suppressed_predictions_are_left_out():
    rows = evaluated("sqrt: false constriant: false nms: 0.5")[1]
    assert_close(rows[rows[:, 0] == 2], [[2, 0.72, 1, 0]])


def test_boxes_and_scores_are_read_as_the_loss_reads_them():
    roots = [[0.5, 0.5, 0.4**0.5, 0.3**0.5]] * 2
    assert_close(evaluated("", boxes=roots)[1][-2], [2, 0.72, 1, 0])


def test_an_evaluation_lowers_for_cuda():
    check_export(Case("step", EVAL("nms: 0.4"), SHAPES))


def of_v2(boxes, nms=0.4):
    """Two predictions of class 2 where the first anchor is centred at the first place, and at the last."""
    x = np.full((2, 8, 2, 2), -40.0)
    x[:, :4] = 0
    x[0, 4, 0, 0], x[0, 4, 1, 1], x[0, 7] = 2, 1, 40
    labels = np.zeros((1, 3, 5))
    labels[0, : len(boxes)] = np.reshape(boxes, (-1, 5))
    case = Case("v2", EVAL(f"nms: {nms} biases: [1, 1, 2, 2]"), {"x": x.reshape(1, 16, 2, 2), "labels": labels})
    row = np.asarray(case.run([], case.values()[1])[0])[0]
    return row[:3].tolist(), row[3:].reshape(-1, 4)[:3]


SURE = 1 / (1 + np.exp([-2.0, -1]))


@pytest.mark.parametrize(
    ("boxes", "judged"),
    [
        ([[2, 0.25, 0.25, 0.5, 0.5]], [[1, 0], [0, 0]]),
        ([[2, 0.25, 0.25, 0.5, 0.5], [2, 0.75, 0.75, 0.5, 0.5]], [[1, 0], [1, 0]]),
        ([[1, 0.25, 0.25, 0.5, 0.5]], [[0, 1], [0, 1]]),
        ([], [[0, 1], [0, 1]]),
    ],
)
def test_predictions_of_v2_are_judged_by_boxes_of_their_class(boxes, judged):
    counts, rows = of_v2(boxes)
    assert counts == [0, sum(b[0] == 1 for b in boxes), sum(b[0] == 2 for b in boxes)]
    assert_close(rows, [[2, SURE[0], *judged[0]], [2, SURE[1], *judged[1]], [0, 0, 0, 0]])


def test_v2_is_not_evaluated_without_suppression():
    assert not of_v2([[2, 0.25, 0.25, 0.5, 0.5]], nms=-1)[1].any()


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (LOSS(""), {**SHAPES, "x": (2, 51)}, r"must have 52 values per item, side² · \(num_class \+ 5 · num_object\)"),
        (EVAL(""), {**SHAPES, "labels": (2, 27)}, "must have 28 values per item"),
        (EVAL("biases: 1"), {"x": (2, 16, 2, 2), "labels": (2, 10)}, "it has 1 biases; give a width"),
        (EVAL("biases: 1"), SHAPES, r"must be \(N, 16, 2, 2\)"),
        (EVAL("biases: 1"), {"x": (2, 16, 2, 2), "labels": (2, 9)}, "must hold 5 values per box"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
