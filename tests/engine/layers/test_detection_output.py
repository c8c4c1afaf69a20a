"""DetectionOutput, beside OpenCV's."""

import cv2
import numpy as np
import pytest
from support import gpu_program
from support.layer_cases import Case, assert_close, check_refused

from engine.errors import LayerError
from engine.layers.detection_output import detect
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

RNG = np.random.default_rng(3)
CLASSES, PRIORS, ITEMS = 4, 12, 2
CORNERS = RNG.random((PRIORS, 2)) / 2
BOXES = np.concatenate([CORNERS, CORNERS + 0.2 + RNG.random((PRIORS, 2)) / 3], 1)
VARIANCES = np.tile([0.1, 0.1, 0.2, 0.2], PRIORS)
SCORES = np.exp(3 * RNG.standard_normal((ITEMS, PRIORS, CLASSES)))
BOTTOMS = {
    "loc": RNG.standard_normal((ITEMS, 4 * PRIORS)),
    "conf": (SCORES / SCORES.sum(-1, keepdims=True)).reshape(ITEMS, -1),
    "priors": np.stack([BOXES.ravel(), VARIANCES])[None],
}
BOTTOMS = {name: value.astype(np.float32) for name, value in BOTTOMS.items()}
DETECT = 'type: "DetectionOutput" detection_output_param {{ num_classes: 4 {} }}'.format


def found(options, **bottoms):
    case = Case("detections", DETECT(options), {**BOTTOMS, **bottoms}, phase=pb.TEST)
    return np.asarray(case.net.compile(case.run)([], case.values()[1])[0])


@pytest.mark.parametrize(
    "options",
    [
        "code_type: CENTER_SIZE keep_top_k: 200 nms_param { nms_threshold: 0.45 top_k: 400 }",
        "code_type: CENTER_SIZE keep_top_k: 5 nms_param { nms_threshold: 0.45 top_k: 6 }",
        "code_type: CORNER keep_top_k: 20 nms_param { nms_threshold: 0.3 top_k: 400 }",
        "code_type: CENTER_SIZE background_label_id: 2 keep_top_k: 20 nms_param { nms_threshold: 0.45 top_k: 400 }",
    ],
)
def test_detections_are_those_of_opencv(options):
    options += " confidence_threshold: 0.2 share_location: true"
    options += " background_label_id: 0" * ("background" not in options)
    shapes = "".join(
        f'input: "{name}" input_shape {{ {" ".join(f"dim: {d}" for d in value.shape)} }}'
        for name, value in BOTTOMS.items()
    )
    layer = f'layer {{ name: "layer" bottom: "loc" bottom: "conf" bottom: "priors" top: "y" {DETECT(options)} }}'
    net = cv2.dnn.readNetFromCaffe(np.frombuffer((shapes + layer).encode(), np.uint8))
    for name, value in BOTTOMS.items():
        net.setInput(value, name)
    got, want = found(options)[0, 0], net.forward("layer")[0, 0]
    want = want[want[:, 2] > 0]  # which is filled up with zeros, and in another order
    assert len(got) > 3
    assert_close(by_score(got), by_score(want), "detections")


@pytest.mark.parametrize("polygon", ["true", "false"])
def test_outlines_are_moved_corners_of_the_boxes_that_are_left(polygon):
    options = "code_type: CENTER_SIZE confidence_threshold: 0.2 keep_top_k: 9 nms_param { nms_threshold: 0.45 }"
    moves = np.random.default_rng(6).standard_normal((ITEMS, PRIORS, 8 if polygon == "true" else 5))
    loc = np.concatenate([BOTTOMS["loc"].reshape(ITEMS, PRIORS, 4), moves], 2).reshape(ITEMS, -1)
    got = found(f"{options} use_polygon: {polygon}", loc=np.float32(loc))[0, 0]
    if polygon == "true":
        assert_close(got[:, :7], found(options)[0, 0], "boxes")
    scores = BOTTOMS["conf"].reshape(ITEMS, PRIORS, CLASSES)
    for row in got:
        item, label = row[:2].astype(int)
        prior = np.abs(scores[item, :, label] - row[2]).argmin()
        xmin, ymin, xmax, ymax = BOXES[prior]
        width, height, d = xmax - xmin, ymax - ymin, moves[item, prior]
        if polygon == "true":
            corners = np.array([(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)])
            want = corners + 0.1 * d.reshape(4, 2) * (width, height)
        else:
            centre = np.array([xmin + xmax, ymin + ymax]) / 2
            want = [*(centre + 0.1 * d[:4].reshape(2, 2) * (width, height)).ravel(), np.exp(0.2 * d[4]) * height]
        assert_close(row[7:], np.ravel(want), "outline")


def by_score(rows):
    return rows[np.lexsort((rows[:, 2], rows[:, 0]))]


def test_refined_anchors_are_moved_and_those_of_no_object_left_out():
    options = "code_type: CENTER_SIZE confidence_threshold: 0.2 nms_param { nms_threshold: 0.45 }"
    picture = {name: value[:1] for name, value in BOTTOMS.items()}
    rng = np.random.default_rng(5)
    objectness, moves = rng.random((1, PRIORS, 2)), rng.standard_normal((PRIORS, 4))
    size, centre = BOXES[:, 2:] - BOXES[:, :2], (BOXES[:, 2:] + BOXES[:, :2]) / 2
    shift = VARIANCES.reshape(-1, 4) * moves
    centre, half = centre + shift[:, :2] * size, np.exp(shift[:, 2:]) * size / 2
    scores = np.where(objectness[..., 1:] < 0.4, [1, 0, 0, 0], picture["conf"].reshape(1, PRIORS, 4))
    moved = np.stack([np.concatenate([centre - half, centre + half], 1).ravel(), VARIANCES.ravel()])[None]
    want = found(options, **picture | {"conf": np.float32(scores.reshape(1, -1)), "priors": np.float32(moved)})
    refined = {"objectness": np.float32(objectness.reshape(1, -1)), "moves": np.float32(moves.reshape(1, -1))}
    got = found(options + " objectness_score: 0.4", **picture, **refined)
    assert got.shape[2] > 3
    assert_close(got, want, "detections")


@pytest.mark.parametrize("options", ["confidence_threshold: 2", "nms_param { top_k: 0 }", "keep_top_k: 0"])
def test_nothing_found_is_a_row_of_a_picture(options):
    rows = found(options)
    assert rows.shape == (1, 1, ITEMS, 7)
    assert rows[0, 0].tolist() == [[n, *[-1] * 6] for n in range(ITEMS)]


def test_each_class_may_have_boxes_of_its_own():
    loc = np.tile(BOTTOMS["loc"].reshape(ITEMS, PRIORS, 1, 4), (1, 1, CLASSES, 1)).reshape(ITEMS, -1)
    assert np.array_equal(found("share_location: false", loc=loc), found(""))


def test_what_lies_behind_is_as_large_as_what_was_found():
    net = Net.from_param(
        text.parse(
            f"""layer {{ name: "in" type: "Input" top: "loc" top: "conf" top: "priors"
                  input_param {{ shape {{ dim: 2 dim: 48 }} shape {{ dim: 2 dim: 48 }}
                                 shape {{ dim: 1 dim: 2 dim: 48 }} }} }}
            layer {{ name: "detect" bottom: "loc" bottom: "conf" bottom: "priors" top: "y" {DETECT("keep_top_k: 3")} }}
            layer {{ name: "score" type: "Slice" bottom: "y" top: "n" top: "c" top: "s" top: "b"
                     slice_param {{ axis: 3 slice_point: [1, 2, 3] }} }}""",
            pb.NetParameter,
        ),
        pb.TEST,
    )
    assert net.forward([], BOTTOMS).outputs["s"].shape == (1, 1, 6, 1)


def test_the_batch_is_one_computation_that_lowers_for_cuda():
    case = Case("detections", DETECT("keep_top_k: 3"), BOTTOMS, phase=pb.TEST)
    search = case.net.layers[-1].search
    assert not gpu_program.faults(gpu_program.lowered(lambda *x: detect(*x, search), *BOTTOMS.values()))


def test_files_of_another_machine_are_told_as_not_there(caplog):
    asked = (
        'save_output_param { output_format: "VOC" output_directory: "/nowhere" label_map_file: "/nowhere/map" '
        'name_size_file: "/nowhere/s" }'
    )
    case = Case("detections", DETECT(asked), BOTTOMS)
    assert case.net.blob_shapes["y0"] == (1, 1, 1, 7)
    assert "save_output_param is ignored" in caplog.text
    assert "/nowhere/map" in caplog.text


def test_what_is_found_is_written_into_files(tmp_path):
    items = " ".join(f'item {{ name: "class{c}" label: {c} }}' for c in range(4))
    (tmp_path / "map").write_text(items, encoding="utf-8")
    (tmp_path / "sizes").write_text("one 100 200\ntwo 50 50\n", encoding="utf-8")
    saved = (
        f'save_output_param {{ output_directory: "{tmp_path}/out" output_name_prefix: "got_" output_format: "ILSVRC" '
        f'label_map_file: "{tmp_path}/map" name_size_file: "{tmp_path}/sizes" }}'
    )
    rows = found(f"confidence_threshold: 0.3 keep_top_k: 3 {saved}")[0, 0]
    lines = (tmp_path / "out" / "got_.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(rows)
    name, number, score, *_ = lines[0].split()
    assert (name, int(number), float(score)) == ("one", rows[0, 1], pytest.approx(rows[0, 2], rel=1e-4))


@pytest.mark.parametrize(
    ("options", "bottoms", "message"),
    [
        ("background_label_id: -1", {}, "background_label_id is −1"),
        ("nms_param { nms_threshold: -0.5 }", {}, "nms_threshold is -0.5"),
        ("nms_param { soft_nms: true }", {}, "soft_nms: true, of the fork"),
        ("nms_param { eta: 0 }", {}, "eta is 0"),
        ("", {"loc": (2, 44)}, r"\[2, 44\]; 12 priors of 4 classes need \[2, 48\] offsets"),
        ("", {"conf": (3, 48)}, r"need \[2, 48\] scores"),
        ("", {"priors": (1, 2, 46)}, "priors are"),
        ("code_type: CENTER_SIZE use_polygon: true", {}, r"need \[2, 144\] offsets"),
        ("code_type: CORNER use_polygon: false", {}, "use_polygon, of TextBoxes.., needs code_type: CENTER_SIZE"),
    ],
)
def test_wrong_configuration_is_refused(options, bottoms, message):
    check_refused(DETECT(options), {**BOTTOMS, **bottoms}, message)


def test_where_all_is_background_nothing_is_found():
    alone = {**BOTTOMS, "conf": BOTTOMS["conf"][:, :PRIORS]}
    case = Case("detections", 'type: "DetectionOutput" detection_output_param { num_classes: 1 }', alone, phase=pb.TEST)
    rows = np.asarray(case.net.compile(case.run)([], case.values()[1])[0])[0, 0]
    assert rows.tolist() == [[0, *[-1] * 6], [1, *[-1] * 6]]


def test_a_score_of_minus_zero_is_one_of_zero():
    conf = np.zeros((ITEMS, PRIORS, CLASSES), np.float32)
    conf[:, 0] = -0.0
    rows = found("nms_param { nms_threshold: 0 top_k: 1 }", conf=conf.reshape(ITEMS, -1), loc=0 * BOTTOMS["loc"])
    np.testing.assert_allclose(rows[0, 0, :, 3:], np.tile(BOXES[0], (ITEMS * (CLASSES - 1), 1)), rtol=1e-5)


def test_a_prior_without_extent_is_refused():
    flat = BOTTOMS["priors"].copy()
    flat[0, 0, 10] = flat[0, 0, 8]
    with pytest.raises(LayerError, match=r'"priors".*prior 2 is 0 wide'):
        found("code_type: CENTER_SIZE", priors=flat)
    assert len(found("code_type: CORNER", priors=flat)[0, 0])


def test_the_number_of_classes_is_needed():
    check_refused('type: "DetectionOutput"', BOTTOMS, "needs num_classes")
