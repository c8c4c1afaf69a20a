"""ROIPooling, PSROIPooling, ROIAlign: against loops over regions, bins and elements."""

import math

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused, slopes

from engine.net.net import Net
from engine.ops import roi
from engine.proto import caffe_pb2 as pb
from engine.proto import text

ROIS = np.array([[0, 2, 1, 13, 9], [1, 0, 3, 7, 15], [1, -5, -4, 30, 4], [0, 6, 6, 6, 6], [0, 40, 40, 60, 60]])
MAPS = {"x": (2, 3, 6, 7), "rois": ROIS}
POOL = 'type: "ROIPooling" roi_pooling_param {{ pooled_h: {} pooled_w: {} spatial_scale: {} }}'.format
ALIGN = 'type: "ROIAlign" roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 }'
PSROI = 'type: "PSROIPooling" psroi_pooling_param { spatial_scale: 0.5 output_dim: 2 group_size: 2 }'


def half_up(v):
    return math.copysign(math.floor(abs(v) + 0.5), v)


def roi_pooling(x, rois, h, w, scale):
    y = np.zeros((len(rois), x.shape[1], h, w))
    for r, (n, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (half_up(v * scale) for v in corners)
        tall, wide = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        for i, j in np.ndindex(h, w):
            rows = np.clip([math.floor(i * tall / h) + y1, math.ceil((i + 1) * tall / h) + y1], 0, x.shape[2]).astype(
                int
            )
            columns = np.clip([math.floor(j * wide / w) + x1, math.ceil((j + 1) * wide / w) + x1], 0, x.shape[3])
            part = x[int(n), :, slice(*rows), slice(*columns.astype(int))]
            y[r, :, i, j] = part.max((1, 2)) if part.size else 0
    return y


def padded(rois, ratio):
    more = (rois[:, 3:] - rois[:, 1:3] + 1) * ratio
    return np.concatenate([rois[:, :1], rois[:, 1:3] - more, rois[:, 3:] + more], 1)


def psroi_pooling(x, rois, k, scale):
    y = np.zeros((len(rois), x.shape[1] // k**2, k, k))
    for r, (n, *corners) in enumerate(rois):
        x1, y1 = (half_up(v) * scale for v in corners[:2])
        x2, y2 = ((half_up(v) + 1) * scale for v in corners[2:])
        tall, wide = max(y2 - y1, 0.1) / k, max(x2 - x1, 0.1) / k
        for d, i, j in np.ndindex(y.shape[1:]):
            rows = np.clip([math.floor(i * tall + y1), math.ceil((i + 1) * tall + y1)], 0, x.shape[2])
            columns = np.clip([math.floor(j * wide + x1), math.ceil((j + 1) * wide + x1)], 0, x.shape[3])
            part = x[int(n), (d * k + i) * k + j, slice(*rows.astype(int)), slice(*columns.astype(int))]
            y[r, d, i, j] = part.mean() if part.size else 0
    return y


def interpolated(plane, row, column):
    if not (-1 <= row <= plane.shape[0] and -1 <= column <= plane.shape[1]):
        return 0
    row, column = np.clip(row, 0, plane.shape[0] - 1), np.clip(column, 0, plane.shape[1] - 1)
    rows, columns = (
        np.maximum(0, 1 - np.abs(np.arange(d) - v)) for d, v in zip(plane.shape, (row, column), strict=True)
    )
    return rows @ plane @ columns


def roi_align(x, rois, h, w, scale):
    y = np.zeros((len(rois), x.shape[1], h, w))
    for r, (n, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (v * scale for v in corners)
        tall, wide = max(y2 - y1, 1) / h, max(x2 - x1, 1) / w
        for c, i, j in np.ndindex(y.shape[1:]):
            places = [(y1 + (i + a) * tall, x1 + (j + b) * wide) for a in (0.25, 0.75) for b in (0.25, 0.75)]
            y[r, c, i, j] = np.mean([interpolated(x[int(n), c], *place) for place in places])
    return y


CASES = [
    Case("roi pooling", POOL(3, 2, 0.5), MAPS, lambda x, rois: roi_pooling(x, rois, 3, 2, 0.5)),
    Case("roi pooling to one", POOL(1, 1, 1), MAPS, lambda x, rois: roi_pooling(x, rois, 1, 1, 1)),
    Case(
        "roi pooling of 4 axes",
        POOL(2, 2, 0.25),
        {"x": (2, 3, 6, 7), "rois": ROIS[:, :, None, None]},
        lambda x, rois: roi_pooling(x, rois[:, :, 0, 0], 2, 2, 0.25),
    ),
    Case("psroi pooling", PSROI, {**MAPS, "x": (2, 8, 6, 7)}, lambda x, rois: psroi_pooling(x, rois, 2, 0.5)),
    Case(
        "roi pooling of padded regions",
        POOL(3, 2, "0.5 pad_ratio: 0.25"),
        MAPS,
        lambda x, rois: roi_pooling(x, padded(rois, 0.25), 3, 2, 0.5),
    ),
    Case("roi align", ALIGN, MAPS, lambda x, rois: roi_align(x, rois, 2, 3, 0.5)),
]


class TestCases(Cases):
    cases = CASES


def test_gradient_goes_to_the_first_maximum():
    gradient = slopes(POOL(1, 1, 1), x=np.ones((1, 1, 3, 3)), rois=[[0, 1, 1, 2, 2]])[0]
    assert gradient.nonzero() == (0, 0, 1, 1)
    assert gradient.sum() == 1


def test_a_region_the_wrong_way_round_has_no_gradient():
    assert not slopes(POOL(1, 1, 1), x=np.ones((1, 1, 3, 3)), rois=[[0, 2, 1, 1, 2]])[0].any()


@pytest.mark.parametrize("layer", [POOL(2, 2, 1), ALIGN, PSROI])
@pytest.mark.parametrize("picture", [-1, 2])
def test_a_region_of_no_picture_is_nan(layer, picture):
    case = Case("no picture", layer, {"x": (2, 8, 4, 4), "rois": (2, 5)})
    rois = np.array([[picture, 0, 0, 3, 3], [1, 0, 0, 3, 3]], np.float32)
    y = np.asarray(case.run([], {"x": np.ones((2, 8, 4, 4), np.float32), "rois": rois})[0])
    assert np.isnan(y[0]).all()
    np.testing.assert_allclose(y[1], 1, rtol=1e-6)


def corners(x, rois, h, w, scale):
    """MS-CNN's ROIAlign."""
    y = np.zeros((len(rois), x.shape[1], h + 1, w + 1))
    for r, (n, *edges) in enumerate(rois):
        x1, y1, x2, y2 = (v * scale - 0.5 for v in edges)
        for c, i, j in np.ndindex(y.shape[1:]):
            row, column = y1 + i * (y2 - y1) / h, x1 + j * (x2 - x1) / w
            near = -0.5 <= row <= x.shape[2] - 0.5 and -0.5 <= column <= x.shape[3] - 0.5
            y[r, c, i, j] = interpolated(x[int(n), c], row, column) if near and x2 > x1 and y2 > y1 else 0
    return y


def test_beside_layers_of_mscnn_roi_align_gives_the_corners_of_bins():
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}'
        for name, dims in (("x", "dim: 2 dim: 3 dim: 6 dim: 7"), ("rois", "dim: 5 dim: 5"), ("m", "dim: 5 dim: 8"))
    )
    net = Net.from_param(
        text.parse(
            f"""{inputs} layer {{ name: "y" bottom: "x" bottom: "rois" top: "y" {ALIGN} }}
            layer {{ name: "d" type: "DecodeBBox" bottom: "m" bottom: "rois" top: "d" }}""",
            pb.NetParameter,
        ),
        pb.TEST,
    )
    x = np.random.default_rng(1).standard_normal((2, 3, 6, 7)).astype(np.float32)
    given = {"x": x, "rois": ROIS.astype(np.float32), "m": np.zeros((5, 8), np.float32)}
    assert_close(net.forward([], given, keep=True).outputs["y"], corners(x, ROIS, 2, 3, 0.5))


REFUSED = [
    (POOL(0, 2, 1), MAPS, "pooled_h is 0"),
    (POOL(2, 2, 0), MAPS, "spatial_scale is 0"),
    (POOL(2, 2, 1), {"x": (2, 3, 6), "rois": (2, 5)}, "4 axes are needed"),
    (POOL(2, 2, 1), {"x": (2, 3, 6, 6), "rois": (2, 4)}, "R × 5"),
    ('type: "PSROIPooling"', MAPS, "needs spatial_scale"),
    (PSROI, MAPS, "has 3 channels; output_dim 2 and group_size 2 need 8"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_channels_in_blocks_are_pooled_as_all_at_once(monkeypatch):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, (2, 5, 6, 7)).astype(np.float32)  # with ties, of which the first counts
    rows = np.array([[[0, 1], [3, 6]], [[2, 4], [2, 5]], [[0, 0], [6, 6]]]).transpose(1, 0, 2)
    columns = np.array([[[0, 3], [4, 7]], [[6, 1], [7, 1]], [[0, 2], [7, 5]]]).transpose(1, 0, 2)
    pictures = np.array([1, 0, 1])

    def pooled(x):
        return roi.max_of_bins(x, pictures, tuple(rows), tuple(columns), np.ones(3, bool))

    once, pull = jax.vjp(pooled, x)
    monkeypatch.setattr(roi, "TABLE", 2 * 4 * x[:, :2].size * 9)
    in_blocks, pull_in_blocks = jax.vjp(pooled, x)
    np.testing.assert_array_equal(in_blocks, once)
    np.testing.assert_array_equal(pull_in_blocks(in_blocks)[0], pull(once)[0])
    for r, i, j in np.ndindex(3, 2, 2):
        part = x[pictures[r], :, slice(*rows[:, r, i]), slice(*columns[:, r, j])]
        assert once[r, :, i, j].tolist() == (part.max((1, 2)) if part.size else np.zeros(5)).tolist()


@pytest.mark.parametrize("compared", [2**28, 2 * 42 * 5 * 6])
def test_on_a_gpu_the_gradient_of_maxima_is_the_same(compared, monkeypatch):
    """All channels in one block, and one in each."""
    monkeypatch.setattr(roi, "COMPARISONS", compared)
    rng = np.random.default_rng(0)
    dy, where = rng.standard_normal((5, 3, 6)).astype(np.float32), rng.integers(-1, 42, (5, 3, 6))
    dy[where < 0] = 0
    given = dy, np.array([0, 1, 1, 0, 7]), where, (2, 3, 6, 7)
    assert_close(roi.to_maxima(*given), roi._added(*given))
