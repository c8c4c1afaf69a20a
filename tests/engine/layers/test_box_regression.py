"""DecodeBBox, ScaleRoute, BboxAccuracy: against loops over regions."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused, net_of

from engine.errors import LayerError
from engine.proto import caffe_pb2 as pb

RNG = np.random.default_rng(0)
CORNERS = RNG.random((6, 2)) * 40
REGIONS = np.concatenate([np.arange(6)[:, None] % 2, CORNERS, CORNERS + 1 + RNG.random((6, 2)) * 30], 1)[
    ..., None, None
]
MOVES = RNG.standard_normal((6, 8))
NORMALIZED = "bbox_reg_param { bbox_mean: [0, 0.1, 0, 0] bbox_std: [0.1, 0.1, 0.2, 0.2] }"
MATCHED = np.array(
    [[1, 3, 4, 20, 20, 0.6], [0] * 6, [2, 9, 9, 30, 40, 0.9], [1, 0, 0, 9, 9, 0.99], [0] * 6, [2, 5, 5, 50, 50, 0.5]]
)


def moved(region, values):
    (x1, y1, x2, y2), (dx, dy, dw, dh) = region, values * [0.1, 0.1, 0.2, 0.2] + [0, 0.1, 0, 0]
    w, h = x2 - x1 + 1, y2 - y1 + 1
    x, y = x1 + w / 2 + dx * w, y1 + h / 2 + dy * h
    return [x - w * np.exp(dw) / 2, y - h * np.exp(dh) / 2, x + w * np.exp(dw) / 2 - 1, y + h * np.exp(dh) / 2 - 1]


def decoded(moves, regions):
    rows = [[r[0], *moved(r[1:], m[4:])] for m, r in zip(moves, regions[:, :, 0, 0], strict=True)]
    return np.array(rows)[:, :, None, None]


def overlap(a, b):
    common = np.prod([max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + 1) for i in (0, 1)])
    return common / (sum((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)) - common)


def accuracy(moves, regions, matched):
    before, after = [], []
    for m, r, (label, *box, share) in zip(moves, regions[:, 1:, 0, 0], matched, strict=True):
        if label > 0 and share <= 0.975:
            before.append(overlap(r, box))
            after.append(overlap(moved(r, m[4 * int(label) : 4 * int(label) + 4]), box))
    return tuple(np.mean(each).reshape(1, 1, 1, 1) for each in (after, before))


CASES = [
    Case("decode", f'type: "DecodeBBox" {NORMALIZED}', {"m": MOVES, "r": REGIONS}, decoded, phase=pb.TEST),
    Case(
        "accuracy",
        f'type: "BboxAccuracy" {NORMALIZED}',
        {"m": RNG.standard_normal((6, 12)), "r": REGIONS, "t": MATCHED},
        accuracy,
        tops=2,
    ),
]


class TestCases(Cases):
    cases = CASES


def run(layer, bottoms, tops=1, phase=pb.TRAIN):
    net = net_of(layer, bottoms, tops, phase)
    given = {name: v.astype(np.float32) for name, v in bottoms.items()}
    made = net.forward([], given, jax.random.key(0), keep=True)
    return [np.asarray(made.outputs[f"y{i}"]) for i in range(tops)]


def test_in_training_objects_themselves_and_what_is_less_than_a_pixel_are_left_out():
    moves = MOVES.copy()
    moves[1, 6] = -30
    layer = f'type: "DecodeBBox" {NORMALIZED} decode_bbox_param {{ gt_iou_thr: 0.95 }}'
    (found,) = run(layer, {"m": moves, "r": REGIONS, "t": MATCHED})
    assert_close(found, decoded(moves, REGIONS)[[0, 2, 4, 5]])
    with pytest.raises(LayerError, match="none of 6 regions is left"):
        run(layer.replace("0.95", "0"), {"m": moves, "r": REGIONS, "t": MATCHED})


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ("low_scale: 8 high_scale: 16", [0, 3]),
        ("low_scale: 16", [1, 2]),
        ("high_scale: 8", [4, 5]),
        ("", [0, 1, 2, 3, 4, 5]),
        ("low_scale: 5 high_scale: 5.5", [4]),
        ("low_scale: 99", [2]),
    ],
)
def test_regions_of_a_scale_are_chosen_or_the_nearest(options, rows):
    sides = np.array([8, 16, 31, 15.9, 4, 7.5])
    regions = np.stack([0 * sides, 0 * sides, 0 * sides, sides - 1, sides - 1], 1)
    x = RNG.standard_normal((6, 2, 3, 1))
    layer = f'type: "ScaleRoute" scale_route_param {{ {options} }}'
    for got, given in zip(run(layer, {"r": regions, "x": x}, 2), (regions, x), strict=True):
        assert_close(got, given[rows])


def test_without_an_object_the_accuracy_is_none():
    bottoms = {"m": MOVES, "r": REGIONS, "t": 0 * MATCHED}
    assert [
        float(top.item()) for top in run('type: "BboxAccuracy" bbox_reg_param { cls_aware: false }', bottoms, 2)
    ] == [-1, -1]


REGION, MOVE, MATCH = REGIONS.shape, MOVES.shape, MATCHED.shape


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "DecodeBBox"', {"m": (6, 12), "r": REGION}, r'"m" has shape \[6, 12\]; it must be \(R, 8\)'),
        ('type: "DecodeBBox"', {"m": MOVE, "r": (5, 5)}, r'"r" has shape \[5, 5\]; .*R the same for all'),
        ('type: "ScaleRoute"', {"r": (6, 4)}, r'"r" has shape \[6, 4\]; it must be \(R, 5\): picture'),
        (
            'type: "ScaleRoute" scale_route_param { low_scale: 9 high_scale: 3 }',
            {"r": REGION},
            "0 < low_scale < high_sc",
        ),
        (
            'type: "BboxAccuracy"',
            {"m": (6, 7), "r": REGION, "t": MATCH},
            "4 values per class are needed, 8 if not cls_aware",
        ),
        ('type: "BboxAccuracy"', {"m": MOVE, "r": REGION, "t": (6, 5)}, r'"t" has shape \[6, 5\]; .*class, x1, y1'),
        (
            f'type: "DecodeBBox" {NORMALIZED.replace("0.2, 0.2", "0.2, -1")}',
            {"m": MOVE, "r": REGION},
            "must be above 0",
        ),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_matched_boxes_are_for_training_alone():
    bottoms = {"m": MOVE, "r": REGION, "t": MATCH}
    check_refused('type: "DecodeBBox"', bottoms, "the third, the matched boxes, is for phase TRAIN only", phase=pb.TEST)
