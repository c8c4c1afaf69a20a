"""Proposal: against loops over places, anchors and boxes."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_refused

from engine.layers.proposal import anchors
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

LAYER = """type: "Proposal" proposal_param {{
  ratio: [0.5, 2] scale: [1, 2] feat_stride: 8 base_size: 8 min_size: 4 {} }}""".format
SHAPES = {"scores": (2, 8, 3, 4), "offsets": (2, 16, 3, 4), "picture": (2, 3)}


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "scores": rng.random(SHAPES["scores"]),
        "offsets": 0.5 * rng.standard_normal(SHAPES["offsets"]),
        "picture": np.array([[24, 32, 1], [20, 30, 2]]),
    }


def found(bottoms, options="", tops=2):
    case = Case("found", LAYER(options), bottoms, tops=tops, phase=pb.TEST)
    return [np.asarray(top) for top in case.run([], case.values()[1])]


def overlap(a, b):
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + 1 for i in (0, 1))
    common = max(0, width) * max(0, height)
    return common / (sum((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)) - common)


def formula(scores, offsets, picture, before, after, threshold):
    rows, best = [], []
    for n, (height, width, scale) in enumerate(picture):
        boxes = []
        for i, j, a in np.ndindex(3, 4, 4):
            size = np.array([[11, 6], [22, 12], [6, 12], [12, 24]])[a]
            dx, dy, dw, dh = offsets[n, 4 * a : 4 * a + 4, i, j]
            centre = np.array([8 * j, 8 * i]) + 4 + np.array([dx, dy]) * size
            half = np.exp([dw, dh]) * size / 2
            edges = np.clip([*(centre - half), *(centre + half)], 0, np.array([width, height] * 2) - 1)
            large = min(edges[2:] - edges[:2]) + 1 >= 4 * scale
            boxes.append((scores[n, 4 + a, i, j] if large else 0, edges))
        kept = []
        for score, edges in sorted(boxes, key=lambda box: -box[0])[:before]:
            if len(kept) < after and all(overlap(edges, other) <= threshold for _, other in kept):
                kept.append((score, edges))
        rows += [[n, *edges] for _, edges in kept]
        best += [score for score, _ in kept]
    return np.array(rows), np.array(best)


@pytest.mark.parametrize(("before", "after", "threshold"), [(6000, 300, 0.7), (20, 5, 0.3)])
def test_regions_are_those_of_the_formula(before, after, threshold):
    bottoms = drawn()
    options = f"pre_nms_topn: {before} post_nms_topn: {after} nms_thresh: {threshold}"
    for got, want in zip(found(bottoms, options), formula(*bottoms.values(), before, after, threshold), strict=True):
        assert_close(got, want)


def test_one_row_of_sizes_is_for_all_pictures_and_may_tell_both_scales():
    bottoms = drawn()
    bottoms["picture"] = np.array([[24, 32, 1, 3]])
    one, two = found({**bottoms, "picture": np.repeat(bottoms["picture"], 2, 0)}), found(bottoms)
    assert_close(two[0], one[0])
    small = two[0][(two[1] > 0)]
    assert (small[:, 3] - small[:, 1] + 1).min() >= 12
    assert 4 <= (small[:, 4] - small[:, 2] + 1).min() < 12


def test_anchors_of_faster_rcnn():
    p = pb.ProposalParameter(ratio=[0.5, 1, 2], scale=[8, 16, 32])
    assert (anchors(p)[[0, 4, 8]] - [0, 0, 1, 1]).tolist() == [
        [-84, -40, 99, 55],
        [-120, -120, 135, 135],
        [-168, -344, 183, 359],
    ]


def test_regions_are_pooled_behind_it():
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}'
        for name, dims in (
            (name, " ".join(f"dim: {d}" for d in shape)) for name, shape in {**SHAPES, "x": (2, 3, 3, 4)}.items()
        )
    )
    net = Net.from_param(
        text.parse(
            inputs
            + f'layer {{ name: "p" bottom: "scores" bottom: "offsets" bottom: "picture" top: "rois" {LAYER("")} }}'
            'layer { name: "pool" type: "ROIPooling" bottom: "x" bottom: "rois" top: "y"'
            " roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.1 } }",
            pb.NetParameter,
        ),
        pb.TEST,
    )
    given = {name: v.astype(np.float32) for name, v in {**drawn(), "x": np.ones((2, 3, 3, 4))}.items()}
    made = net.forward([], given, keep=True)
    assert made.outputs["y"].shape == (len(found(drawn(), tops=1)[0]), 3, 2, 2)
    assert np.all(made.outputs["y"] == 1)


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "Proposal" proposal_param { ratio: 1 }', SHAPES, r"scale is \[\]; proposal_param needs one or more"),
        (LAYER("ratio: -1"), SHAPES, r"ratio is \[0.5, 2.0, -1.0\]"),
        (LAYER("post_nms_topn: 0"), SHAPES, "post_nms_topn is 0; it must be 1 or more"),
        (
            LAYER(""),
            {**SHAPES, "scores": (2, 4, 3, 4)},
            r'"scores" has shape \[2, 4, 3, 4\]; 4 anchors .* \(N, 8, H, W\)',
        ),
        (LAYER(""), {**SHAPES, "offsets": (2, 16, 3, 5)}, r'"offsets" has shape .* \(N, 16, H, W\)'),
        (LAYER(""), {**SHAPES, "picture": (3, 3)}, r"it must hold height, width and scale, \(1, 3\)"),
        (LAYER(""), {**SHAPES, "picture": (2, 2)}, "it must hold height, width and scale"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
