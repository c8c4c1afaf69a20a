"""MS-CNN's DetectionLoss and DetectionAccuracy, beside numpy that goes from place to place as their fork does."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused

H, W, CLASSES = 3, 4, 3
FIELD = "cls_num: 3 field_h: 24 field_w: 32 downsample_rate: 8"
NORMAL = "bbox_reg_param {{ bbox_mean: [0.1, 0, 0, 0.1] bbox_std: [0.1, 0.2, 0.2, 0.2] }}"
LOSS = f'type: "DetectionLoss" {NORMAL} detection_loss_param {{{{ {FIELD} {{}} }}}}'.format
ACCURACY = f'type: "DetectionAccuracy" {NORMAL} detection_accuracy_param {{{{ {FIELD} {{}} }}}}'.format
MEAN, STD = np.array([0.1, 0, 0, 0.1]), np.array([0.1, 0.2, 0.2, 0.2])
X = np.random.default_rng(0).normal(size=(2, CLASSES + 4, H, W))


def labels():
    made, rng = np.zeros((2, 6, H, W)), np.random.default_rng(1)
    made[:, 5] = rng.uniform(0, 0.45, (2, H, W))
    for n, kind, y, x in ((0, 1, 1, 2), (0, 2, 0, 0), (1, 2, 2, 3)):
        made[n, :, y, x] = kind, x * 8 + 5, y * 8 + 3, 30, 20, 0.7
    return made


LABELS = labels()


def kept(multiple, threshold=0.4):
    """The places of background that score highest for each class."""
    made = np.zeros((2, H, W), bool)
    for n in range(2):
        may = [(y, x) for y in range(H) for x in range(W) if not LABELS[n, 0, y, x] and LABELS[n, 5, y, x] < threshold]
        for kind in range(1, CLASSES):
            number = max(4, int((LABELS[n, 0] == kind).sum() * multiple))
            for at in sorted(may, key=lambda at: -X[n, kind][at])[:number]:
                made[n][at] = True
    return made


def loss_and_slopes(chosen, weights, smooth=True):
    """Loss, its part of boxes, and the gradient, by what the fork's loops do."""
    slopes, of_scores, of_boxes, places, boxes = np.zeros_like(X), 0, 0, 0, 0
    found = LABELS[:, 0] != 0
    chances = np.exp(X[:, :CLASSES]) / np.exp(X[:, :CLASSES]).sum(1, keepdims=True)
    bound = np.array([0.5, 0.5, np.log(2), np.log(2)])
    middle, deviation = (
        np.repeat([f(v[:2]), f(v[2:])], 2) for f, v in ((np.mean, MEAN), (lambda v: v.prod() ** 0.5, STD))
    )
    for n, y, x in np.argwhere(found | chosen):
        kind = int(LABELS[n, 0, y, x])
        of_scores -= np.log(chances[n, kind, y, x]) * weights[n, y, x]
        slopes[n, :CLASSES, y, x] = weights[n, y, x] * (chances[n, :, y, x] - np.eye(CLASSES)[kind])
        places += 1
    for n, y, x in np.argwhere(found):
        cx, cy, w, h = LABELS[n, 1:5, y, x]
        want = np.array([(cx - (x + 0.5) * 8) / 32, (cy - (y + 0.5) * 8) / 24, np.log(w / 32), np.log(h / 24)])
        said = np.clip(X[n, CLASSES:, y, x], (-bound - middle) / deviation, (bound - middle) / deviation)
        off = said - (want - MEAN) / STD
        near = abs(off) < 1
        of_boxes += np.sum(np.where(near, off**2 / 2, abs(off) - 0.5) if smooth else off**2 / 2)
        slopes[n, CLASSES:, y, x] = np.clip(off, -1, 1) if smooth else off
        boxes += 4
    slopes[:, :CLASSES] /= places
    slopes[:, CLASSES:] /= boxes
    return of_scores / places + of_boxes / boxes, of_boxes / boxes, slopes


def balanced(chosen, multiple):
    found = LABELS[:, 0] != 0
    number, share = (found | chosen).sum(), 1 / (1 + multiple)
    return np.where(found, share * number / found.sum(), (1 - share) * number / chosen.sum())


@pytest.mark.parametrize(
    ("options", "chosen", "weights", "smooth"),
    [
        ("bg_threshold: 0.4 sample_mode: 'bootstrap' bg_multiple: 5", kept(5), 1, True),
        ("bg_threshold: 0.4 sample_mode: 'bootstrap' pos_neg_weighted: true bg_multiple: 2", kept(2), balanced, True),
        (
            "bg_threshold: 0.4 sample_mode: 'all' iou_weighted: true bb_smooth: false",
            (LABELS[:, 0] == 0) & (LABELS[:, 5] < 0.4),
            np.where(LABELS[:, 0] != 0, LABELS[:, 5], 1),
            False,
        ),
    ],
    ids=["bootstrap", "balanced", "all"],
)
def test_loss_and_gradient_are_the_forks(options, chosen, weights, smooth):
    case = Case("loss", LOSS(options), {"x": X, "labels": LABELS})
    given = case.values()[1]
    weights = weights(chosen, 2) if callable(weights) else np.broadcast_to(weights, chosen.shape)
    loss, of_boxes, want = loss_and_slopes(chosen, weights, smooth)

    def total(x):
        out = case.net.forward([], {**given, "x": x}, keep=True)
        return out.loss, out.outputs["y0"]

    (whole, tops), slope = case.net.compile(jax.value_and_grad(total, has_aux=True))(given["x"])
    assert_close(tops.ravel(), [loss, of_boxes])
    assert_close(whole, loss + of_boxes)  # Caffe weighs both, and learns from the first
    assert_close(slope, want)


@pytest.mark.parametrize("mode", [pytest.param("random", marks=pytest.mark.slow), "mixture"])
def test_background_is_drawn_by_the_key(mode):
    case = Case("drawn", LOSS(f"sample_mode: '{mode}' bg_multiple: 1 bg_threshold: 0.4"), {"x": X, "labels": LABELS})
    given = case.values()[1]

    slope = jax.jit(jax.grad(lambda x, key: case.net.forward([], {**given, "x": x}, key).loss))
    first, again, other = (np.asarray(slope(given["x"], jax.random.key(seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    drawn = np.any(first[:, :CLASSES] != 0, 1) & (LABELS[:, 0] == 0)
    assert 1 <= drawn.sum() <= 2 * (8 + 8)
    assert not (drawn & (LABELS[:, 5] >= 0.4)).any()
    assert (other != first).any()


def test_accuracy_counts_classes_and_overlaps():
    case = Case("accuracy", ACCURACY("bg_threshold: 0.4 field_xyr: 2"), {"x": X, "labels": LABELS}, tops=2)
    right = X[:, :CLASSES].argmax(1) == LABELS[:, 0]
    found = LABELS[:, 0] != 0
    counts = found | (LABELS[:, 5] < 0.4)
    shares = []
    for n, y, x in np.argwhere(found):
        move = X[n, CLASSES:, y, x] * STD + MEAN
        cx, cy = np.clip(move[:2], -0.5, 0.5) * [32, 24] + np.array([x + 0.5, y + 0.5]) * 8
        w, h = np.exp(np.clip(move[2:], -np.log(2), np.log(2))) * [32, 24]
        gx, gy, gw, gh = LABELS[n, 1:5, y, x]
        across = min(cx + w / 2, gx + gw / 2) - max(cx - w / 2, gx - gw / 2)
        down = min(cy + h / 2, gy + gh / 2) - max(cy - h / 2, gy - gh / 2)
        common = max(across, 0) * max(down, 0)
        shares.append(common / (w * h + gw * gh - common))
    figures, overlap = case.net.compile(case.run)([], case.values()[1])
    assert_close(figures.ravel(), [right[counts].mean(), right[found].mean()])
    assert_close(overlap.ravel(), [np.mean(shares)])


def test_where_nothing_counts_accuracy_is_below_0():
    nothing = np.zeros_like(LABELS)
    nothing[:, 5] = 1
    case = Case("none", ACCURACY(""), {"x": X, "labels": nothing}, tops=2)
    figures, overlap = case.net.compile(case.run)([], case.values()[1])
    assert_close([*figures.ravel(), *overlap.ravel()], [-1, -1, -1])


def test_a_step_of_the_loss_lowers_for_cuda():
    check_export(Case("step", LOSS("sample_mode: 'mixture'"), {"x": X, "labels": LABELS}))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (LOSS(""), {"x": (2, 8, H, W), "labels": (2, 6, H, W)}, r"\(N, 7, H, W\), cls_num \+ 4 channels"),
        (LOSS("coord_num: 5"), {"x": X, "labels": LABELS}, "coord_num is 5"),
        (LOSS("objectness: true"), {"x": X, "labels": LABELS}, "2 with objectness"),
        (LOSS("field_whr: 0"), {"x": X, "labels": LABELS}, "must be 1 or more"),
        (LOSS("bg_multiple: 4294967295"), {"x": X, "labels": LABELS}, "drawn for bg_multiple 4294967295"),
        (ACCURACY("top_k: 4"), {"x": X, "labels": LABELS}, "top_k 4 is not 1 to 3"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
