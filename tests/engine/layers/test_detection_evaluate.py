"""DetectionEvaluate."""

import numpy as np
import pytest
from support.layer_cases import Case, check_refused, net_of

from engine.errors import LayerError
from engine.proto import caffe_pb2 as pb

FOUND = np.array(
    [
        [0, 1, 0.4, 0, 0, 0.5, 0.5],
        [0, 1, 0.9, 0, 0, 0.5, 0.45],
        [0, 1, 0.8, 0.6, 0.6, 1, 1],
        [0, 2, 0.7, 0, 0, 0.5, 0.5],
        [1, 2, 0.6, 0, 0, 0.5, 0.5],
        [2, -1, -1, -1, -1, -1, -1],
    ]
)
TRUTH = np.array([[0, 1, 0, 0, 0, 0.5, 0.5, 0], [1, 2, 0, 0, 0, 0.5, 0.5, 1], [-1] * 8, [0, 2, 0, 0, 0, 1, 1, 0]])
EVALUATE = 'type: "DetectionEvaluate" detection_evaluate_param {{ num_classes: 3 {} }}'.format


def bottoms(found=FOUND, truth=TRUTH):
    return {"found": found[None, None], "truth": truth[None, None]}


def judged(options="", **more):
    case = Case("judged", EVALUATE(options), bottoms(**more), phase=pb.TEST)
    return np.asarray(case.run([np.zeros(())] * case.net.layers[-1].recurrent_state.__len__(), case.values()[1])[0])[
        0, 0
    ]


def test_boxes_of_each_class_are_counted_and_each_is_found_once():
    want = [
        [-1, 1, 1, -1, -1],
        [-1, 2, 1, -1, -1],
        [0, 1, 0.9, 1, 0],
        [0, 1, 0.8, 0, 1],
        [0, 1, 0.4, 0, 1],
        [0, 2, 0.7, 0, 1],
        [1, 2, 0.6, 1, 0],
    ]
    np.testing.assert_allclose(judged(), want, atol=1e-6)


def test_a_difficult_box_is_neither_right_nor_wrong_where_it_does_not_count():
    rows = judged("evaluate_difficult_gt: false")
    assert rows[1].tolist() == [-1, 2, 0, -1, -1]
    assert rows[-1, 3:].tolist() == [0, 0]


def test_with_the_pictures_sizes_boxes_are_pixels(tmp_path):
    sizes = tmp_path / "sizes"
    sizes.write_text("a 3 4\nb 300 400\n", encoding="utf-8")
    # 0 … 2 of 4 pixels are 3 wide, so that a box of half the height overlaps by 0.7, not by 0.5
    found = np.array([[0, 1, 0.9, 0, 0, 0.5, 0.5]])
    truth = np.array([[0, 1, 0, 0, 0, 0.5, 1, 0]])
    options = f'name_size_file: "{sizes}" overlap_threshold: 0.6'
    assert judged("overlap_threshold: 0.6", found=found, truth=truth)[2, 3] == 0
    assert judged(options, found=found, truth=truth)[2, 3] == 1


@pytest.mark.parametrize(("scales", "right"), [("height_scale: 50 width_scale: 50", 1), ("", 0)])
def test_boxes_told_by_scales_are_not_counted_one_larger(tmp_path, scales, right):
    sizes = tmp_path / "sizes"
    sizes.write_text("a 100 100\n", encoding="utf-8")
    resize = f"resize_param {{ resize_mode: FIT_SMALL_SIZE height: 50 width: 50 {scales} }}"
    found = np.array([[0, 1, 0.9, 0, 0, 0.2, 0.2]])
    truth = np.array([[0, 1, 0, 0, 0, 0.2, 0.15, 0]])  # 11 × 8.5 in common, and 10 × 10 and 10 × 7.5 alone
    table = judged(f'name_size_file: "{sizes}" overlap_threshold: 0.95 {resize}', found=found, truth=truth)
    assert table[-1].tolist() == [0, 1, np.float32(0.9), right, 1 - right]


def test_a_background_box_is_refused():
    with pytest.raises(LayerError, match="class 0, which is the background"):
        judged(found=np.where(np.arange(7) == 1, 0, FOUND))


@pytest.mark.parametrize(("column", "value"), [(0, np.nan), (1, np.inf)])
def test_a_box_of_no_picture_or_class_is_refused(column, value):
    with pytest.raises(LayerError, match=r"one of its detections has picture \w+ and class \w+; give numbers"):
        judged(found=np.where(np.arange(7) == column, value, FOUND))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), ("a 3", "not a name, a height and a width"), ("", "names no picture")],
)
def test_sizes_that_cannot_be_read_are_told(tmp_path, content, message):
    sizes = tmp_path / "sizes"
    if content is not None:
        sizes.write_text(content, encoding="utf-8")
    with pytest.raises(LayerError, match=message):
        judged(f'name_size_file: "{sizes}"')


def test_a_net_is_built_without_the_file_of_sizes():
    assert net_of(EVALUATE('name_size_file: "/nowhere/sizes"'), bottoms()).blob_shapes["y0"] == (1, 1, 8, 5)


@pytest.mark.parametrize(
    ("options", "more", "message"),
    [
        ("overlap_threshold: 0", {}, "overlap_threshold is 0"),
        ("", {"found": np.zeros((3, 6))}, r"\[1, 1, a number, 7\]"),
        ("", {"truth": np.zeros((3, 7))}, r"\[1, 1, a number, 8\]"),
    ],
)
def test_wrong_configuration_is_refused(options, more, message):
    check_refused(EVALUATE(options), bottoms(**more), message)
