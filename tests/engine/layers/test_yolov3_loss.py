"""Yolov3: its gradient is the slope of an energy written as loops; its value is the sum of the squares."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused, slopes

BIASES = [8, 8, 16, 10, 6, 20, 40, 40]
LAYER = f"""type: "Yolov3" yolov3_param {{{{ num_class: 3 num: 2 anchors_scale: 8 coord_scale: 1.5 class_scale: 0.5
  mask: [1, 2] biases: {BIASES} thresh: 0.4 {{}} }}}}""".format
SHAPES = {"x": (2, 16, 3, 4), "boxes": (2, 20)}
BOXES = [[2, 0.4, 0.5, 0.45, 0.4], [0, 0.42, 0.45, 0.5, 0.4], [1, 0.9, 0.2, 0.2, 0.8], [0] * 5]
SIZE = np.array([32, 24])


def x_of(seed=0):
    return 0.5 * np.random.default_rng(seed).standard_normal((1, 16, 3, 4))


def gradient(options="", x=None, boxes=BOXES):
    """(anchor, value, row, column), of one picture."""
    (found,) = slopes(LAYER(options), x=x_of() if x is None else x, boxes=[np.ravel(boxes)])
    return np.array(found, np.float64).reshape(2, 8, 3, 4)


def overlap(a, b):
    low, high = (np.stack([v[:2] + sign * v[2:] / 2 for v in (a, b)]) for sign in (-1, 1))
    common = np.prod(np.maximum(0, high.min(0) - low.max(0)))
    return common / (np.prod(a[2:]) + np.prod(b[2:]) - common)


def answers(iou_thresh=0.5):
    """(anchor's number in the mask, row, column) → the boxes that it answers."""
    found = {}
    for box in map(np.array, BOXES[:3]):
        fits = [
            overlap(np.array([0, 0, *size]), np.array([0, 0, *box[3:]])) for size in np.reshape(BIASES, (4, 2)) / SIZE
        ]
        best = int(np.argmax(fits))
        left_out = [1, 2].index(best) if best in (1, 2) else best
        for n, anchor in enumerate((1, 2)):
            if anchor == best or (fits[anchor] > iou_thresh and anchor != left_out):
                found.setdefault((n, int(box[2] * 3), int(box[1] * 4)), []).append(box)
    return found


def energy(x, told, smooth):
    """What the gradient without use_logic_gradient is that of, while predictions do not cross `thresh`."""
    x = x.reshape(2, 8, 3, 4)
    sure = 1 / (1 + np.exp(-x))
    entropy = lambda p, t: -t * np.log(p) - (1 - t) * np.log(1 - p)  # noqa: E731
    total = 0
    for n, i, j in np.ndindex(2, 3, 4):
        anchor = np.array(BIASES[2 * n + 2 : 2 * n + 4]) / SIZE
        at, p = x[n, :, i, j], sure[n, :, i, j]
        if (n, i, j) not in told:
            box = np.array([(j + p[0]) / 4, (i + p[1]) / 3, *(np.exp(at[2:4]) * anchor)])
            near = max(overlap(box, np.array(truth[1:])) for truth in BOXES[:3])
            total += 0 if near > 0.4 else entropy(p[4], 0)
            continue
        last = told[n, i, j][-1]
        scale = 1.5 * (2 - last[3] * last[4])
        total += scale * (entropy(p[0], last[1] * 4 - j) + entropy(p[1], last[2] * 3 - i))
        total += scale / 2 * np.sum((at[2:4] - np.log(last[3:] / anchor)) ** 2) + entropy(p[4], 1)
        for kind in range(3):
            target = any(box[0] == kind for box in told[n, i, j])
            total += 0.5 * entropy(p[5 + kind], target * (1 - smooth) + smooth / 2)
    return total


@pytest.mark.parametrize(
    ("options", "smooth", "iou_thresh"), [("", 0.1, 0.5), ("label_smooth_eps: 0 iou_thresh: 0.2", 0, 0.2)]
)
def test_the_gradient_is_that_of_the_energy(options, smooth, iou_thresh):
    told = answers(iou_thresh)
    assert max(map(len, told.values())) == 2
    x, found = x_of(), gradient(options).ravel()
    for k in range(x.size):
        step = np.zeros(x.size)
        step[k] = 1e-5
        step = step.reshape(x.shape)
        slope = (energy(x + step, told, smooth) - energy(x - step, told, smooth)) / 2e-5
        assert found[k] == pytest.approx(slope, rel=1e-3, abs=1e-4), k


def test_the_loss_is_the_sum_of_the_squares():
    case = Case("loss", LAYER(""), {"x": x_of(), "boxes": np.reshape(BOXES, (1, 20))})
    assert_close(case.net.compile(case.run)(*case.values())[0], np.sum(gradient() ** 2))


def test_with_use_logic_gradient_slopes_and_object_scale_count():
    sure = 1 / (1 + np.exp(-x_of().reshape(2, 8, 3, 4)))
    slope = sure * (1 - sure)
    slope[:, 2:4] = 1
    want = gradient() * slope
    for n, i, j in answers():
        want[n, 4, i, j] *= 5
    assert_close(gradient("use_logic_gradient: true object_scale: 5"), want)


def test_anchors_that_overlap_enough_answer_too():
    count = lambda options: int(np.abs(gradient(options)[:, 5:]).sum(1).astype(bool).sum())  # noqa: E731
    assert count("iou_thresh: 1") == len(answers(1)) < len(answers(0.1)) == count("iou_thresh: 0.1")


def test_without_boxes_confidences_go_towards_0():
    found = gradient(boxes=[[0] * 5] * 4)
    assert_close(found[:, 4], 1 / (1 + np.exp(-x_of().reshape(2, 8, 3, 4)[:, 4])))
    found[:, 4] = 0
    assert not found.any()


def test_a_step_lowers_for_cuda():
    check_export(Case("step", LAYER(""), SHAPES))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (LAYER(""), {**SHAPES, "x": (2, 15, 3, 4)}, r"must be \(N, 16, H, W\)"),
        (LAYER(""), {**SHAPES, "boxes": (2, 21)}, "must hold 5 values per box"),
        (
            'type: "Yolov3" yolov3_param { num_class: 3 num: 2 mask: [1, 4] biases: [1, 2, 3, 4] }',
            SHAPES,
            "it has 2 mask and 4 b",
        ),
        (LAYER("iou_loss: GIOU"), SHAPES, "iou_loss: MSE without use_focal_loss"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
