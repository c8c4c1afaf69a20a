"""RPN: against loops over places, anchors and boxes."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_refused

from engine.layers.rpn import anchors
from engine.proto import caffe_pb2 as pb

LAYER = """type: "RPN" rpn_param {{
  ratio: [0.5, 2] scale: [1, 2] feat_stride: 8 basesize: 8 boxminsize: 4 nms_thresh: 0.4 {} }}""".format
SHAPES = {"scores": (1, 8, 3, 4), "offsets": (1, 16, 3, 4), "picture": (1, 3)}
EDGES = [[-1, 1, 8, 6], [-7, -2, 14, 9], [1, -2, 6, 9], [-2, -8, 9, 15]]


def test_anchors_are_those_of_the_python_layer():
    p = pb.RPNParameter(basesize=16, ratio=[0.5, 1, 2], scale=[8, 16, 32])
    assert anchors(p)[[0, 4, 8]].tolist() == [[-84, -40, 99, 55], [-120, -120, 135, 135], [-168, -344, 183, 359]]


def overlap(a, b):
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + 1 for i in (0, 1))
    common = max(0, width) * max(0, height)
    return common / (sum((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)) - common)


def formula(scores, offsets, picture, before, after):
    height, width, scale = picture[0]
    boxes = []
    for i, j, a in np.ndindex(3, 4, 4):
        edges = np.array(EDGES[a]) + 8 * np.array([j, i, j, i])
        size = edges[2:] - edges[:2] + 1
        dx, dy, dw, dh = offsets[0, 4 * a : 4 * a + 4, i, j]
        centre, made = edges[:2] + size / 2 + np.array([dx, dy]) * size, np.exp([dw, dh]) * size
        if min(made) >= 4 * scale:
            cut = np.clip([*(centre - made / 2), *(centre + made / 2)], 0, [width, height] * 2)
            boxes.append((scores[0, 4 + a, i, j], cut))
    kept = []
    for score, edges in sorted(boxes, key=lambda box: -box[0])[: before or None]:
        if all(overlap(edges, other) < 0.4 for _, other in kept):
            kept.append((score, edges))
    kept = kept[: after or None]
    return [[0, *edges] for _, edges in kept], [score for score, _ in kept]


@pytest.mark.parametrize(("before", "after"), [pytest.param(0, 0, marks=pytest.mark.slow), (20, 5)])
def test_regions_are_those_of_the_formula(before, after):
    rng = np.random.default_rng(0)
    case = Case(
        "found",
        LAYER(f"per_nms_topn: {before} post_nms_topn: {after}"),
        {
            "scores": rng.random(SHAPES["scores"]),
            "offsets": 0.5 * rng.standard_normal(SHAPES["offsets"]),
            "picture": np.array([[24, 30, 1.5]]),
        },
        tops=2,
        phase=pb.TEST,
    )
    anchor = pb.RPNParameter(basesize=8, ratio=[0.5, 2], scale=[1, 2])
    assert anchors(anchor).tolist() == EDGES
    regions, scores = case.run([], case.values()[1])
    rows, best = formula(*case.values()[1].values(), before, after)
    assert_close(regions, np.reshape(rows, (-1, 5, 1, 1)))
    assert_close(scores, np.reshape(best, (-1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "RPN" rpn_param { ratio: 1 scale: 8 }', SHAPES, "rpn_param needs feat_stride, basesize"),
        (LAYER(""), {**SHAPES, "offsets": (1, 8, 3, 4)}, r"need \(N, 16, H, W\)"),
        (LAYER(""), {**SHAPES, "scores": (2, 8, 3, 4), "offsets": (2, 16, 3, 4)}, "one picture at a time"),
        (LAYER(""), {**SHAPES, "picture": (1, 2)}, "height, width and scale"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message, phase=pb.TEST)
