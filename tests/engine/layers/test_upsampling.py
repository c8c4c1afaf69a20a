"""Upsample of SegNet and of YOLO ports, Unpooling."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused, slopes

X = {"x": (1, 1, 2, 2)}
MASK = np.array([[[[3.0, 0.0], [8.0, 5.0]]]])
UPSAMPLE = 'type: "Upsample" upsample_param {{ {} }}'.format
UNPOOL = 'type: "Unpooling" unpooling_param {{ kernel_size: 2 stride: 1 {} }}'.format


def placed(x, mask, rows, columns):
    y = np.zeros((*x.shape[:2], rows * columns))
    for at in np.ndindex(x.shape):
        y[(*at[:2], int(mask[at]))] = x[at]
    return y.reshape(*x.shape[:2], rows, columns)


def tiled(x, share):
    y = np.zeros((*x.shape[:2], 3, 3))
    for i, j in np.ndindex(2, 2):
        y[:, :, i : i + 2, j : j + 2] += x[:, :, i, j, None, None] / share
    return y


RESIZE = 'type: "ResizeNearestNeighbor" resize_nearest_neighbor_param {{ {} }}'.format

CASES = [
    Case("by a mask", UPSAMPLE("scale: 2"), {**X, "mask": MASK}, lambda x, mask: placed(x, mask, 4, 4)),
    Case("less one row", UPSAMPLE("pad_out_h: true"), {**X, "mask": MASK}, lambda x, mask: placed(x, mask, 3, 4)),
    Case("a size", UPSAMPLE("upsample_h: 3 upsample_w: 5"), {**X, "mask": MASK}, lambda x, mask: placed(x, mask, 3, 5)),
    Case("nearest", UPSAMPLE("scale: 3"), X, lambda x: x.repeat(3, 2).repeat(3, 3)),
    Case(
        "resize",
        RESIZE('data_format: "NCHW" output_height: 3 output_width: 4'),
        X,
        lambda x: x[:, :, [0, 0, 1]][..., [0, 0, 1, 1]],
    ),
    Case("nearest, unscaled", 'type: "Upsample"', X, lambda x: x),
    Case("unpooling", UNPOOL("unpool_size: 3"), {**X, "mask": MASK}, lambda x, mask: placed(x, mask, 3, 3)),
    Case("unpooling, to first elements", UNPOOL(""), X, lambda x: np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)))),
    Case("unpooling, shared out", UNPOOL("unpool: AVE"), X, lambda x: tiled(x, 4)),
]


class TestCases(Cases):
    cases = CASES


def test_the_last_value_at_a_place_counts_and_each_gets_the_gradient():
    x, mask = np.arange(4.0).reshape(1, 1, 2, 2), np.array([[[[0, 3], [3, 0]]]])
    case = Case("twice", UPSAMPLE("upsample_h: 2 upsample_w: 2"), {**X, "mask": MASK})
    (y,) = case.run([], {"x": x.astype(np.float32), "mask": mask.astype(np.float32)})
    assert_close(y, [[[[3, 0], [0, 2]]]])
    assert_close(slopes(UPSAMPLE("upsample_h: 2 upsample_w: 2"), x=x, mask=mask)[0], np.ones((1, 1, 2, 2)))


@pytest.mark.parametrize("place", [-1, 16])
def test_a_mask_that_points_outside_gives_nan(place):
    case = Case("outside", UPSAMPLE("scale: 2"), {**X, "mask": MASK})
    mask = np.full((1, 1, 2, 2), place, np.float32)
    assert np.isnan(case.run([], {"x": 0 * mask, "mask": mask})[0]).all()


def test_tile_adds_up_and_has_the_gradient_of_the_average():
    x = np.random.default_rng(1).standard_normal((1, 1, 2, 2)).astype(np.float32)
    assert_close(Case("tile", UNPOOL("unpool: TILE"), X).run([], {"x": x})[0], tiled(x, 1))
    assert_close(slopes(UNPOOL("unpool: TILE"), x=x)[0], np.ones((1, 1, 2, 2)))


REFUSED = [
    (UPSAMPLE("scale: 2"), {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 3)}, "must have the same shape"),
    (UPSAMPLE("upsample_h: 4"), {**X, "mask": MASK}, "go together"),
    (UPSAMPLE("scale_h: 4"), {**X, "mask": MASK}, "or scale_h and scale_w"),
    (UPSAMPLE("scale: 3 pad_out_w: true"), {**X, "mask": MASK}, "pad_out_w is for a scale of 2; it is 3"),
    (UPSAMPLE("scale: 0"), {**X, "mask": MASK}, "scale is 0 along h"),
    (UPSAMPLE("upsample_h: 4"), X, "for an Upsample with a mask"),
    (UPSAMPLE("scale: 0"), X, "must be 1 or more"),
    (UNPOOL("unpool: AVE"), {**X, "mask": MASK}, "AVE and TILE take none"),
    (UNPOOL("pad: 1"), X, "takes no pad"),
    (UNPOOL("unpool_h: 3"), X, "give unpool_size, or unpool_h and unpool_w"),
    ('type: "Unpooling"', X, "needs kernel_size"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ("output_height: 5", [0, 0, 1, 1, 2]),
        ("output_height: 5 align_corners: true", [0, 1, 1, 2, 2]),
        ("scale_height: 1.7 half_pixel_centers: true", [0, 0, 1, 2, 2]),
        ("output_height: 6 half_pixel_onnx: true", [0, 0, 0, 1, 1, 2]),
        ("output_height: 1 align_corners: true", [0]),
    ],
)
def test_a_resized_row_is_the_nearest(options, read):
    (y,) = Case("row", RESIZE(options), {"x": (1, 3, 1, 1)}).run([], {"x": np.arange(3.0).reshape(1, 3, 1, 1)})
    assert y.ravel().tolist() == read


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('data_format: "CHWN"', 'must be "NHWC" or "NCHW"'),
        ("align_corners: true half_pixel_onnx: true", "give at most one"),
        ("scale_height: 0.2", "its top would be 0×3"),
    ],
)
def test_a_wrong_resizing_is_refused(options, message):
    check_refused(RESIZE(options), {"x": (1, 3, 3, 1)}, message)
