"""PriorBox, beside OpenCV's; PriorBoxClustered."""

import cv2
import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused

BOTTOMS = {"features": (1, 2, 3, 4), "picture": (1, 3, 30, 44)}
PRIOR = 'type: "PriorBox" prior_box_param {{ {} }}'.format
NET = """
input: "features" input_shape {{ dim: 1 dim: 2 dim: 3 dim: 4 }} input: "picture"
input_shape {{ dim: 1 dim: 3 dim: 30 dim: 44 }}
layer {{ name: "layer" bottom: "features" bottom: "picture" top: "y" {} }}
"""


@pytest.mark.parametrize(
    "options",
    [
        "min_size: 8 variance: 0.1",
        "min_size: 8 max_size: 15 aspect_ratio: 2 aspect_ratio: 3 variance: 0.1",
        "min_size: 8 aspect_ratio: 2 flip: false clip: true variance: [0.1, 0.1, 0.2, 0.2]",
        "min_size: 8 min_size: 12 max_size: 15 max_size: 20 aspect_ratio: 2 step: 10 offset: 0.25 variance: 0.3",
        "min_size: 8 step_h: 7 step_w: 9 variance: 0.2",
    ],
)
def test_boxes_are_those_of_opencv(options):
    options += " clip: false" * ("clip" not in options)  # the default is another one there
    case = Case("boxes", PRIOR(options), BOTTOMS)
    values = case.values()[1]
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(NET.format(PRIOR(options)).encode(), np.uint8))
    for name, value in values.items():
        net.setInput(value, name)
    (got,) = case.run([], values)
    assert got.shape == case.net.blob_shapes["y0"]
    assert_close(got, net.forward("layer").reshape(got.shape), "boxes")


def boxes(options, bottoms=BOTTOMS):
    case = Case("boxes", PRIOR(options), bottoms)
    return np.asarray(case.run([], case.values()[1])[0])


def test_sizes_are_whole_pixels():
    assert np.array_equal(boxes("min_size: 8"), boxes("min_size: 8.9"))


def test_boxes_are_those_of_the_fork_to_the_last_bit():
    eight = {"features": (1, 1, 8, 8), "picture": (1, 3, 64, 64)}  # a box that is in two fits that which is larger
    made = boxes("min_size: 12 max_size: 24 aspect_ratio: 2", eight)[0, 0, 9:12:2]
    assert np.array_equal(made, np.float32([-0.00379126519, 0.128791273]))


def test_the_first_box_of_a_place_can_be_halved():
    whole, halved = (boxes(f"min_size: 8 max_size: 9 reduce_boxes: {half}")[0, 0] for half in ("false", "true"))
    assert halved[2] - halved[0] == pytest.approx((whole[2] - whole[0]) / 2)
    assert np.array_equal(halved[4:8], whole[4:8])


def test_denser_boxes_come_twice_the_second_where_the_next_row_begins():
    options = "min_size: 8 max_size: 15 aspect_ratio: 2 step: 10 offset: 0.25 variance: [0.1, 0.1, 0.2, 0.2]"
    plain = boxes(options).reshape(2, 3, 4, 4, 4)
    denser = boxes(options + " denser_prior_boxes: true").reshape(2, 3, 4, 4, 2, 4)
    assert np.array_equal(denser[..., 0, :], plain)
    down = np.float32([0, 7.5 / 30, 0, 7.5 / 30])  # rows are 10 apart, and their boxes' middles at a quarter of that
    assert_close(denser[0, ..., 1, :], plain[0] + down)
    assert np.array_equal(denser[1, ..., 1, :], plain[1])


def test_the_size_of_the_picture_can_be_given_without_it():
    options = "min_size: 8 img_h: 20 img_w: 40"
    assert np.array_equal(boxes(options), boxes(options, {"features": BOTTOMS["features"]}))


def test_lowers_for_cuda():
    check_export(Case("boxes", PRIOR("min_size: 8"), BOTTOMS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "needs a min_size"),
        ("min_size: inf", "min_size is inf; it must be more than 0, and finite"),
        ("min_size: 0", "min_size is 0; it must be more than 0"),
        ("min_size: 8 max_size: 8", "max_size is 8; it must be more than its min_size, 8"),
        ("min_size: 8 max_size: 9 max_size: 10", "1 min_size and 2 max_size"),
        ("min_size: 8 aspect_ratio: 0", "aspect_ratio is 0"),
        ("min_size: 8 variance: 0.1 variance: 0.2", r"variance is \[0.1, 0.2\]; give one or four"),
        ("min_size: 8 variance: 0", "numbers above 0"),
        ("min_size: 8 img_size: 3 img_h: 3", "img_size and img_h or img_w"),
        ("min_size: 8 img_h: 3", "height and width are 3 and 0"),
        ("min_size: 8 step: 3 step_h: 3", "step and step_h or step_w"),
        ("min_size: 8 step_h: 3", "down and across are 3 and 0"),
    ],
)
def test_wrong_configuration_is_refused(options, message):
    check_refused(PRIOR(options), BOTTOMS, message)


def test_a_picture_or_its_size_is_needed():
    check_refused(PRIOR("min_size: 8"), {"features": BOTTOMS["features"]}, "to know how large the picture is")
    check_refused(PRIOR("min_size: 8"), {"features": (2, 3)}, "4 axes are needed")
    check_refused(PRIOR("min_size: 8"), {"features": (1, 2, 0, 3)}, "no place for a box")


def test_clustered_boxes_have_the_sizes_that_are_told():
    options = "width: 4.4 width: 11 height: 3 height: 6 step: 10 offset: 0.5 variance: 0.1 clip: false"
    (made,) = Case("boxes", f'type: "PriorBoxClustered" prior_box_param {{ {options} }}', BOTTOMS).run(
        [], {name: np.zeros(shape) for name, shape in BOTTOMS.items()}
    )
    assert made.shape == (1, 2, 3 * 4 * 2 * 4)
    first, second = np.asarray(made)[0, 0, :8].reshape(2, 4)
    assert_close(first, [2.8 / 44, 3.5 / 30, 7.2 / 44, 6.5 / 30])
    assert_close(second, [-0.5 / 44, 2 / 30, 10.5 / 44, 8 / 30])
    check_refused('type: "PriorBoxClustered" prior_box_param { width: 4 }', BOTTOMS, "1 width and 0 height")
