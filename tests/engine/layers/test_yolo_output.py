"""YoloDetectionOutput and Yolov3DetectionOutput; recorded values tell the whole of them."""

import numpy as np
import pytest
from support import gpu_program
from support.layer_cases import Case, assert_close, check_refused

from engine.layers.yolo_output import _of_v2, _of_v3
from engine.proto import caffe_pb2 as pb

V2 = 'type: "YoloDetectionOutput" yolo_detection_output_param {{ num_classes: 2 num_box: 1 biases: [1, 1] {} }}'.format
V3 = """type: "Yolov3DetectionOutput" yolov3_detection_output_param {{
  num_classes: 2 num_box: 1 biases: [8, 8, 16, 16] mask: [1, 0] mask_group_num: 2 anchors_scale: [8, 4] {} }}""".format


def found(layer, *grids):
    case = Case("found", layer, {f"x{i}": grid for i, grid in enumerate(grids)}, phase=pb.TEST)
    return np.asarray(case.run([], case.values()[1])[0])


def grid(channels=7, pictures=1):
    """Places that hold nothing."""
    x = np.zeros((pictures, channels, 2, 2))
    x[:, 4] = -40
    return x


def put(x, at, kind, confidence=40.0, first=5):
    x[0, first - 1, *at] = confidence
    x[0, first + kind, *at] = 40
    x[0, first + 1 - kind, *at] = -40


def test_a_box_of_v2():
    x = grid()
    put(x, (1, 0), 1)
    x[0, 2, 1, 0] = np.log(2)
    assert_close(found(V2("confidence_threshold: 0.5"), x), [[[[0, 2, 1, -0.25, 0.5, 0.75, 1]]]])


def test_boxes_over_each_other_are_one_whatever_their_classes():
    x = grid()
    put(x, (0, 0), 0, 1.0)
    put(x, (0, 1), 1, 2.0)
    x[0, 2] = 3
    assert found(V2("confidence_threshold: 0.5 nms_threshold: 0.95"), x).shape == (1, 1, 2, 7)
    assert found(V2("confidence_threshold: 0.5"), x)[0, 0, :, 1].tolist() == [2]


def test_nothing_is_a_row_a_picture():
    want = [[[[0, -1, -1, -1, -1, -1, -1], [1, -1, -1, -1, -1, -1, -1]]]]
    assert found(V2("confidence_threshold: 0.5"), grid(pictures=2)).tolist() == want


def test_a_second_grid_is_searched_too_and_a_picture_is_not():
    x, y = grid(), np.zeros((1, 7, 1, 1))
    y[:, 4] = -40
    put(y, (0, 0), 0)
    assert_close(found(V2("confidence_threshold: 0.5"), x, y), [[[[0, 1, 1, 0, 0, 1, 1]]]])
    assert found(V2("confidence_threshold: 0.5"), x, np.ones((1, 3, 9, 9)))[0, 0, 0, 1] == -1


def test_boxes_of_v3_are_of_the_anchors_of_their_grid():
    x, y = grid(), grid()
    put(x, (0, 0), 0)
    put(y, (1, 1), 1, 1.0)
    rows = found(V3("confidence_threshold: 0.5"), x, y)[0, 0]
    sure = 1 / (1 + np.exp(-1))
    assert_close(rows, [[0, 1, 1, -0.25, -0.25, 0.75, 0.75], [0, 2, sure, 0.25, 0.25, 1.25, 1.25]])


def test_what_is_uncertain_scores_less():
    x, y = grid(11), grid(11)
    x[:, 8], y[:, 8] = -40, -40
    put(x, (0, 0), 0, first=9)
    assert found(V3("confidence_threshold: 0.4 gaussian_box: true"), x, y)[0, 0, 0, 2] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "candidates", [lambda x: _of_v2(x, np.ones((1, 2))), lambda x: _of_v3(x, np.ones((1, 2)), 8, False)]
)
def test_what_is_compiled_lowers_for_cuda(candidates):
    assert not gpu_program.faults(gpu_program.lowered(candidates, grid().astype(np.float32)))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "YoloDetectionOutput"', {"x": (1, 7, 2, 2)}, "needs num_classes"),
        (V2("coords: 5"), {"x": (1, 7, 2, 2)}, "coords is 5"),
        (V2(""), {"x": (1, 8, 2, 2)}, r"must be \(N, 7, H, W\)"),
        ('type: "Yolov3DetectionOutput"', {"x": (1, 7, 2, 2)}, "needs num_classes"),
        (V3(""), {"x": (1, 7, 2, 2)}, "it has 1 bottoms, mask_group_num 2 and 2 anchors_scale"),
        (V3("mask: 2"), {"x": (1, 7, 2, 2), "y": (1, 7, 2, 2)}, "it has 4 biases; give a width .* each of 3 boxes"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
