"""MultiBoxLoss and MultiBoxFocalLoss."""

import numpy as np
import pytest
from support.layer_cases import Case, check_export, check_formula, check_gradient, check_refused

RNG = np.random.default_rng(5)
CLASSES, PRIORS = 3, 10
CORNERS = np.stack([np.linspace(0.05, 0.7, PRIORS), np.tile([0.1, 0.4], PRIORS // 2)], -1)
BOXES = np.concatenate([CORNERS, CORNERS + 0.25], 1)
VARIANCES = np.tile([0.1, 0.1, 0.2, 0.2], (PRIORS, 1))
TRUTH = np.array(
    [
        [0, 1, 0, 0.06, 0.12, 0.33, 0.36, 0],
        [0, 2, 0, 0.50, 0.40, 0.80, 0.70, 0],
        [1, 2, 0, 0.30, 0.10, 0.52, 0.40, 1],
        [-1, 9, 0, 0, 0, 1, 1, 0],
    ]
)
BOTTOMS = {
    "loc": (2, 4 * PRIORS),
    "conf": (2, CLASSES * PRIORS),
    "priors": np.stack([BOXES.ravel(), VARIANCES.ravel()])[None],
    "truth": TRUTH[None, None],
}
LOSS = 'type: "MultiBoxLoss" multibox_loss_param {{ num_classes: 3 {} }}'.format


def overlap(a, b):
    side = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = np.prod(np.maximum(side, 0))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def matches(rows, threshold=0.5):
    """One picture's: the row of each prior, or −1. No two rows here want the same prior."""
    shares = np.array([[overlap(row[3:7], box) for box in BOXES] for row in rows])
    found = np.where(shares.max(0) >= threshold, shares.argmax(0), -1)
    found[shares.argmax(1)] = np.arange(len(rows))
    return found, shares.max(0)


def loss(loc_weight=1.0, ratio=3.0, truth=TRUTH, weighted=lambda log_p: -log_p):
    def formula(loc, conf, priors, _):
        total, positives = 0.0, 0
        for n in range(2):
            rows = truth[truth[:, 0] == n]
            if not len(rows):
                continue
            found, largest = matches(rows)
            offsets, scores = loc[n].reshape(PRIORS, 4), conf[n].reshape(PRIORS, CLASSES)
            log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
            for p in np.flatnonzero(found >= 0):
                box, prior = rows[found[p], 3:7], BOXES[p]
                size = prior[2:] - prior[:2]
                centre = (box[:2] + box[2:] - prior[:2] - prior[2:]) / 2 / size
                d = offsets[p] - np.concatenate([centre, np.log((box[2:] - box[:2]) / size)]) / VARIANCES[p]
                total += loc_weight * np.where(np.abs(d) < 1, d**2 / 2, np.abs(d) - 0.5).sum()
                total += weighted(log_p[p, int(rows[found[p], 1])])
            negatives = np.flatnonzero((found < 0) & (largest < 0.5))
            worst = negatives[np.argsort(log_p[negatives, 0])]
            total += weighted(log_p[worst[: int(ratio * (found >= 0).sum())], 0]).sum()
            positives += (found >= 0).sum()
        return total / max(1, positives)

    return formula


CENTER = "code_type: CENTER_SIZE "
FOCAL = f"""type: "MultiBoxFocalLoss" multibox_loss_param {{ num_classes: 3 {CENTER} }}
focal_loss_param {{ alpha: 0.5 gamma: 1.5 }}"""
CASES = [
    Case("as in ssd", LOSS(CENTER), BOTTOMS, loss()),
    Case("weighted", LOSS(CENTER + "loc_weight: 2 neg_pos_ratio: 0.5"), BOTTOMS, loss(2.0, 0.5)),
    Case("without difficult boxes", LOSS(CENTER + "use_difficult_gt: false"), BOTTOMS, loss(truth=TRUTH[:2])),
    Case("focal", FOCAL, BOTTOMS, loss(weighted=lambda log_p: -0.5 * (1 - np.exp(log_p)) ** 1.5 * log_p)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestCases:
    def test_loss_equals_the_formula(self, case):
        check_formula(case)

    def test_gradient_is_the_numerical_one(self, case):
        check_gradient(case)


def test_step_lowers_for_cuda():
    check_export(CASES[0])


def value(case):
    return float(case.net.compile(case.run)([], case.values()[1])[0])


@pytest.mark.parametrize("label", [0, 3, -1])
def test_a_class_that_is_none_shows_in_the_loss(label):
    truth = np.where(np.arange(8) == 1, label, TRUTH[:1])[None, None]
    case = Case("wrong", LOSS(""), {**BOTTOMS, "truth": truth})
    assert np.isnan(value(case))


def test_what_does_not_propagate_does_not_count():
    both, loc, conf = (
        Case("as in ssd", f"{LOSS(CENTER)} {' '.join(f'propagate_down: {down}' for down in parts)}", BOTTOMS)
        for parts in (["true", "true", "false", "false"], ["true", *["false"] * 3], ["false", "true", *["false"] * 2])
    )
    assert value(both) == pytest.approx(value(loc) + value(conf))
    assert value(loc) > 0
    assert value(conf) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("background_label_id: 3", "background_label_id 3 is not one of its 3 classes"),
        ("do_neg_mining: false", "contradicts mining_type: MAX_NEGATIVE; delete the first"),
        ("share_location: false", "mined only where locations are shared"),
        ("map_object_to_agnostic: true", "needs num_classes: 2"),
        ("mining_type: HARD_EXAMPLE sample_size: 0", "sample_size is 0"),
        ("ignore_difficult_gt: true", "ignore_difficult_gt, of NVIDIA"),
    ],
)
def test_wrong_configuration_is_refused(options, message):
    check_refused(LOSS(options), BOTTOMS, message)


def test_agnostic_objects_are_the_class_above_the_background():
    agnostic = LOSS("map_object_to_agnostic: true background_label_id: 1").replace("num_classes: 3", "num_classes: 2")
    check_refused(agnostic, BOTTOMS, "makes all classes 2, one above background_label_id")


def test_a_negative_gamma_is_refused():
    check_refused(FOCAL.replace("1.5", "-1"), BOTTOMS, "gamma is -1")


@pytest.mark.parametrize(
    ("bottoms", "message"),
    [
        ({"loc": (2, 36)}, r"\[2, 36\]; 10 priors of 3 classes need \[2, 40\] offsets"),
        ({"conf": (2, 36)}, r"need \[2, 30\] scores"),
        ({"conf": (3, 30)}, "same first dimension"),
        ({"priors": (1, 1, 40)}, "priors are"),
        ({"truth": (1, 1, 4, 7)}, "boxes are"),
    ],
)
def test_bottoms_that_do_not_fit_are_refused(bottoms, message):
    check_refused(LOSS(""), {**BOTTOMS, **bottoms}, message)
