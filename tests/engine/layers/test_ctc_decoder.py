"""CTCGreedyDecoder in its two forms, and LabelsequenceAccuracy, on scores whose best path is known."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_refused

PATHS = np.array([[0, 0, 2, 1], [1, 2, 1, 0], [2, 2, 2, 2]])
"""What three items score best in four steps; 2 is the last class."""

SCORES = 0.5 * np.eye(3)[PATHS.T]
MARKS = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1], [1, 0, 1]])


def run(layer, tops=1, **bottoms):
    case = Case("decoder", layer, bottoms, tops=tops)
    return case.net.compile(case.run)([], case.values()[1])


def test_sequences_end_where_the_next_begins_and_are_measured():
    right = np.array([[0, 1, -1], [1, 0, -1], [-1, -1, -1], [-1, -1, -1]])
    rows, score, near = run('type: "CTCGreedyDecoder"', 3, x=SCORES, marks=MARKS, right=right)
    assert np.array_equal(rows.reshape(3, 4), [[0, 1, -1, -1], [1, 1, -1, -1], [-1, -1, -1, -1]])
    assert_close(score.reshape(3), [-2, -1.5, -2])
    assert near.shape == (1, 1, 1, 1)
    assert_close(near.item(), 1 - (0.5) / 3)


def test_all_steps_count_without_indicators_and_the_blank_is_0():
    (rows,) = run('type: "CTCGreedyDecoder"', x=SCORES)
    assert np.array_equal(rows.reshape(3, 4), [[2, 1, -1, -1], [1, 2, 1, -1], [2, -1, -1, -1]])


def test_right_labels_beside_the_scores_give_how_near_and_how_many_are_right():
    right = np.array([[0, 2, 1, 0, 0], [1, 2, 2, 2, 0], [0, 0, 0, 0, 0]])
    (top,) = run('type: "CTCGreedyDecoder"', x=SCORES, right=right)
    assert_close(top, np.array([1 - (0 + 2 / 4 + 1) / 3, 1 / 3]).reshape(1, 2, 1, 1))


def test_label_sequences_are_right_where_the_best_path_is_theirs():
    layer = 'type: "LabelsequenceAccuracy" labelsequence_accuracy_param { blank_label: 2 }'
    right = np.array([[0, 2, 1, 2, 2], [1, 1, 1, 2, 2], [2, 2, 2, 2, 2]])
    (top,) = run(layer, x=SCORES.swapaxes(0, 1), right=right)
    assert_close(top, 2 / 3)


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ("CTCGreedyDecoder", {"x": (4, 3)}, r"it must be \(steps, batch, classes\)"),
        ("CTCGreedyDecoder", {"x": (4, 3, 3), "m": (5, 2)}, r"\(4, 3\), indicators, or \(3, labels\)"),
        ("CTCGreedyDecoder", {"x": (4, 3, 3), "m": (4, 3), "r": (3, 4)}, r"it must be \(4, 3\)"),
        ('CTCGreedyDecoder" ctc_decoder_param { blank_index: 3 } name: "', {"x": (4, 3, 3)}, "blank_index is 3"),
        ("LabelsequenceAccuracy", {"x": (4, 3), "l": (4, 2)}, r"\(batch, steps, classes\)"),
        ("LabelsequenceAccuracy", {"x": (4, 3, 2), "l": (3, 2)}, r"it must be \(4, labels\)"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    layer = f'type: "{layer}"' if '"' not in layer else f'type: "{layer.partition(" name")[0]}'
    check_refused(layer, bottoms, message)
