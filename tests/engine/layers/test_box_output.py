"""BoxOutput, BoxGroupOutput: against loops over places, fields and regions."""

import jax.numpy as jnp
import numpy as np
import pytest
from support import gpu_program
from support.layer_cases import Case, assert_close, check_refused

from engine.layers.box_output import propose
from engine.proto import caffe_pb2 as pb

ONE = """type: "BoxOutput" bbox_reg_param {{ bbox_mean: [0, 0, 0, 0] bbox_std: [0.1, 0.1, 0.2, 0.2] }}
  box_output_param {{ field_w: [20, 40] field_h: [24, 30] downsample_rate: [8, 16] field_whr: 1.5 field_xyr: 4
  min_size: 12 iou_thr: 0.4 {} }}""".format
GROUPS = """type: "BoxGroupOutput" box_group_output_param {{
  box_group_param {{ field_w: [20, 30] field_h: [24, 20] stride: 8 }}
  box_group_param {{ field_w: 40 field_h: 30 stride: 16 }} fg_thr: 0.3 min_size: 12 iou_thr: 0.5 {} }}""".format
RNG = np.random.default_rng(0)
MAPS = {"a": RNG.standard_normal((2, 7, 4, 5)), "b": RNG.standard_normal((2, 7, 2, 3))}
PAIRS = {
    "p": RNG.random((4, 3, 4, 5)),
    "m": 0.4 * RNG.standard_normal((4, 4, 4, 5)),
    "q": RNG.random((2, 3, 2, 3)),
    "n": 0.4 * RNG.standard_normal((2, 4, 2, 3)),
}


def run(layer, bottoms, tops=2):
    case = Case("found", layer, bottoms, tops=tops, phase=pb.TEST)
    return [np.asarray(top) for top in case.run([], case.values()[1])]


def region(values, field, stride, place, farthest, widest, picture, pixel):
    (w, h), (row, column) = field, place
    x, y = (np.clip(v, -1 / farthest, 1 / farthest) for v in values[:2])
    wide, high = (
        s * np.exp(np.clip(v, -np.log(widest), np.log(widest))) for s, v in zip(field, values[2:], strict=True)
    )
    x1, y1 = x * w + (column + 0.5) * stride - wide / 2, y * h + (row + 0.5) * stride - high / 2
    if pixel:
        return np.array([max(x1, 0), max(y1, 0), min(x1 + wide - 1, picture[0]), min(y1 + high - 1, picture[1])])
    x1, y1 = max(x1, 0), max(y1, 0)
    return np.array([x1, y1, x1 + min(wide, picture[0] - x1), y1 + min(high, picture[1] - y1)])


def shared(later, kept, mode, pixel):
    side = np.minimum(later[2:], kept[2:]) - np.maximum(later[:2], kept[:2])
    common = np.prod(side + pixel) if min(side) > 0 else 0
    a, b = (np.prod(c[2:] - c[:2] + pixel) for c in (later, kept))
    return common / {"IOU": a + b - common, "IOMU": min(a, b), "IOFU": b}[mode]


def left(found, mode, threshold, pixel, before=None, after=None):
    kept = []
    for score, box in sorted(found, key=lambda each: -each[0])[:before]:
        if all(shared(box, other, mode, pixel) <= threshold for _, other in kept):
            kept.append((score, box))
    return kept[:after]


def by_maps(mode="IOU", least=0.0, before=None, after=None):
    rows = []
    for n in range(2):
        found = []
        for x, field, stride in ((MAPS["a"], (20, 24), 8), (MAPS["b"], (40, 30), 16)):
            picture = x.shape[3] * stride, x.shape[2] * stride
            for i, j in np.ndindex(x.shape[2:]):
                score = max(x[n, 1:3, i, j]) - x[n, 0, i, j]
                box = region(x[n, 3:, i, j] * [0.1, 0.1, 0.2, 0.2], field, stride, (i, j), 4, 1.5, picture, 0)
                if score >= least and min(box[2:] - box[:2]) >= 12:
                    found.append((score, box))
        rows += [[n, *box, score] for score, box in left(found, mode, 0.4, 0, before, after)]
    return np.array(rows)


def by_groups(mode="IOU", before=None, after=None):
    rows = []
    for n in range(2):
        found = []
        levels = (("p", "m", [(20, 24), (30, 20)], 8), ("q", "n", [(40, 30)], 16))
        for p, m, fields, stride in levels:
            for k, field in enumerate(fields):
                scores, moves = 1 - PAIRS[p][n * len(fields) + k, 0], PAIRS[m][n * len(fields) + k]
                picture = scores.shape[1] * stride, scores.shape[0] * stride
                for i, j in np.ndindex(scores.shape):
                    box = region(moves[:, i, j], field, stride, (i, j), 2, 2, picture, 1)
                    if scores[i, j] >= 0.3 and min(box[2:] - box[:2]) + 1 >= 12:
                        found.append((scores[i, j], box))
        rows += [[n, *box, score] for score, box in left(found, mode, 0.5, 1, before, after)]
    return np.array(rows)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ("", {}),
        pytest.param('nms_type: "IOMU" fg_thr: -1', {"mode": "IOMU", "least": -1}, marks=pytest.mark.slow),
        ('nms_type: "IOFU" max_nms_num: 10 max_post_nms_num: 4', {"mode": "IOFU", "before": 10, "after": 4}),
    ],
)
def test_regions_of_maps_are_those_of_the_formula(options, asked):
    regions, with_scores = run(ONE(options), MAPS)
    want = by_maps(**asked)
    assert_close(with_scores[:, :, 0, 0], want)
    assert_close(regions[:, :, 0, 0], want[:, :5])


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ("", {}),
        pytest.param('nms_type: "IOMU"', {"mode": "IOMU"}, marks=pytest.mark.slow),
        ('nms_type: "IOFU" max_nms_num: 20 max_post_nms_num: 6', {"mode": "IOFU", "before": 20, "after": 6}),
    ],
)
def test_regions_of_groups_are_those_of_the_formula(options, asked):
    assert_close(run(GROUPS(options), PAIRS)[1][:, :, 0, 0], by_groups(**asked))


def test_where_nothing_is_found_one_region_stands_for_it():
    regions, with_scores = run(ONE("fg_thr: 99"), MAPS)
    assert regions.ravel().tolist() == [0, 1, 1, 10, 10]
    assert with_scores.shape == (1, 6, 1, 1)
    assert not with_scores.any()


def test_the_search_is_one_computation_that_lowers_for_cuda():
    layer = Case("cuda", GROUPS(""), PAIRS, phase=pb.TEST).net.layers[-1]
    given = layer.split([jnp.asarray(v, jnp.float32) for v in PAIRS.values()])
    assert not gpu_program.faults(gpu_program.lowered(lambda *x: propose(*x, layer.search), *given))


SHAPES = {name: v.shape for name, v in MAPS.items()}
PAIR_SHAPES = {name: v.shape for name, v in PAIRS.items()}


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (ONE("field_w: 3"), SHAPES, "3 field_w for 2 bottoms; give one each"),
        (ONE('nms_type: "SOFT"'), SHAPES, 'nms_type is "SOFT"; it must be one of IOU, IOMU, IOFU'),
        (ONE("").replace("field_xyr: 4", "field_xyr: 0"), SHAPES, "field_xyr is 0; it must be above 0"),
        (
            ONE(""),
            {**SHAPES, "b": (2, 6, 2, 3)},
            r'"b" has shape \[2, 6, 2, 3\]; each must be \(N, classes \+ 4, H, W\)',
        ),
        (ONE("").replace("0.2, 0.2", "0.2"), SHAPES, "3 bbox_std; bbox_reg_param needs 4"),
        (ONE("").replace("0.2, 0.2", "0.2, 0"), SHAPES, "each must be above 0"),
        (ONE("").replace("[8, 16]", "[8, 0]"), SHAPES, "level 2 has fields .* and stride 0"),
        (GROUPS("box_group_param { }"), PAIR_SHAPES, "3 box_group_param for 4 bottoms; give one for each pair"),
        (GROUPS("").replace("[24, 20]", "24"), PAIR_SHAPES, "box_group_param 1 has 2 field_w and 1 field_h"),
        (GROUPS(""), {**PAIR_SHAPES, "q": (4, 3, 2, 3)}, r"1 fields need \(1 · N, classes, H, W\).*here 2"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
