"""ROIWarping, MaskPooling, MaskResize: against loops over regions, bins, samples and elements."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_export, check_refused

RNG = np.random.default_rng(4)
X = RNG.standard_normal((2, 2, 7, 9)).astype(np.float32)
ROIS = np.float32([[0, 2, 1, 15, 12], [1, 0, 3, 8, 5], [1, -9, -8, 30, 4], [0, 6, 6, 6, 6], [0, 40, 40, 60, 60]])
WARP = 'type: "ROIWarping" roi_warping_param {{ pooled_h: {} pooled_w: {} spatial_scale: 0.5 }}'.format
RESIZE = 'type: "MaskResize" mask_resize_param {{ output_height: {} output_width: {} }}'.format


def hat(place, size):
    return np.maximum(0, 1 - np.abs(np.arange(size) - place))


def span(roi, bins):
    """Where a region begins and ends down and across, and how long a bin is."""
    x1, y1, x2, y2 = (math.copysign(math.floor(abs(v * 0.5) + 0.5), v) for v in roi[1:])
    return (y1, y2, max(y2 - y1, 0) / bins[0]), (x1, x2, max(x2 - x1, 0) / bins[1])


def places(i, start, length, size):
    """The samples of bin i that lie on the map; float32 adds up past the bin's end at times, as in the fork."""
    offset, found = np.float32(i), []
    while offset <= i + 1:
        found.append(start + float(offset) * length)
        offset += np.float32(1) / np.float32(math.ceil(length)) if length else np.inf
    return [min(max(v, 0), size - 1) for v in found if -0.5 <= v <= size - 0.5]


def largest(x, rois, bins):
    """Of each bin the largest value, and where it is."""
    y, at = np.zeros((len(rois), x.shape[1], *bins)), np.full((len(rois), x.shape[1], *bins, 2), -1.0)
    for r, c, i, j in np.ndindex(y.shape):
        (y1, _, tall), (x1, _, wide) = span(rois[r], bins)
        plane, best = x[int(rois[r, 0]), c], -np.inf
        for row in places(i, y1, tall, plane.shape[0]):
            for column in places(j, x1, wide, plane.shape[1]):
                value = hat(row, plane.shape[0]) @ plane @ hat(column, plane.shape[1])
                if value > best + 1e-6:
                    best, at[r, c, i, j] = value, (row, column)
        y[r, c, i, j] = best if best > -np.inf else 0
    return y, at


def counts(element, i, start, end, bins):
    length = max(end - start + 1, 1) / bins
    first, behind = math.floor((element - start - 1) / length - 1), math.ceil((element - start + 1) / length)
    return start <= element <= end and first <= i < behind


def gradients(x, rois, bins, dy):
    dx, drois = np.zeros_like(x), np.zeros((len(rois), 5))
    _, at = largest(x, rois, bins)
    for r, c, i, j in np.ndindex(at.shape[:4]):
        (y1, y2, _), (x1, x2, _) = span(rois[r], bins)
        row, column = at[r, c, i, j]
        plane, d = x[int(rois[r, 0]), c], dy[r, c, i, j]
        down, across = hat(row, plane.shape[0]), hat(column, plane.shape[1])
        for h, w in zip(*np.outer(down, across).nonzero(), strict=True):
            if counts(h, i, y1, y2, bins[0]) and counts(w, j, x1, x2, bins[1]):
                dx[int(rois[r, 0]), c, h, w] += d * down[h] * across[w]
        h, w = math.floor(row), math.floor(column)
        if row < 0 or h + 1 >= plane.shape[0] or w + 1 >= plane.shape[1]:
            continue
        by_x = d * down[h : h + 2] @ (plane[h : h + 2, w + 1] - plane[h : h + 2, w])
        by_y = d * across[w : w + 2] @ (plane[h + 1, w : w + 2] - plane[h, w : w + 2])
        share_x, share_y = (column - x1) / max(x2 - x1 + 1, 1), (row - y1) / max(y2 - y1 + 1, 1)
        drois[r] += [0, by_x, by_y, by_x * (share_x - 0.5), by_y * (share_y - 0.5)]
    return dx, drois


@pytest.mark.parametrize("bins", [(2, 3), (5, 4)], ids=str)
def test_warping_and_its_gradients_are_those_of_the_fork(bins):
    case = Case("warping", WARP(*bins), {"x": X, "rois": ROIS})
    want, _ = largest(X, ROIS, bins)
    dy = RNG.standard_normal(want.shape).astype(np.float32)

    def step(x, rois):
        y, back = jax.vjp(lambda *bottoms: case.run([], dict(zip(("x", "rois"), bottoms, strict=True)))[0], x, rois)
        return y, *back(jnp.asarray(dy))

    y, dx, drois = case.net.compile(step)(X, ROIS)
    assert y.shape == case.net.blob_shapes["y0"]
    assert_close(y, want, "values")
    for got, asked, name in zip((dx, drois), gradients(X, ROIS, bins, dy), ("x", "rois"), strict=True):
        assert np.abs(asked).max() > 0.1
        assert_close(got, asked, name)


def test_warping_lowers_for_cuda():
    check_export(Case("warping", WARP(2, 3), {"x": X, "rois": ROIS}))


def test_a_region_of_no_picture_or_of_any_size_is_nan():
    case = Case("none", WARP(2, 2), {"x": X, "rois": (3, 5)})
    rois = np.float32([[2, 0, 0, 4, 4], [0, 0, 0, 1e9, 4], [0, 0, 0, 4, 4]])
    (y,) = case.net.compile(case.run)([], {"x": X, "rois": rois})
    assert np.isnan(y[:2]).all()
    assert np.isfinite(y[2]).all()


def resized(x, height, width):
    rows, columns = (
        np.array([hat(i * old / new, old) if i * old / new <= old - 0.5 else np.zeros(old) for i in range(new)])
        for old, new in zip(x.shape[2:], (height, width), strict=True)
    )
    # Places beyond the last element count as that.
    for matrix in (rows, columns):
        rest = 1 - matrix.sum(1)
        matrix[:, -1] += np.where(matrix.sum(1) > 0, rest, 0)
    return np.einsum("nchw,ih,jw->ncij", x, rows, columns)


CASES = [
    Case("mask pooling", 'type: "MaskPooling"', {"x": (3, 4, 2, 5), "m": (3, 1, 2, 5)}, lambda x, m: x * m),
    Case("mask resize", RESIZE(3, 4), {"x": (2, 1, 5, 6)}, lambda x: resized(x, 3, 4)),
]


class TestCases(Cases):
    cases = CASES


def test_a_larger_mask_is_interpolated_and_two_outputs_pull_at_an_element():
    case = Case("larger", RESIZE(6, 3), {"x": (1, 1, 2, 3)})
    x = case.values()[1]["x"]

    def pulled(x):
        y, back = jax.vjp(lambda v: case.run([], {"x": v})[0], x)
        return y, *back(jnp.ones_like(y))

    y, dx = case.net.compile(pulled)(x)
    assert_close(y, resized(x, 6, 3), "values")
    # Outputs lie at 0, 1/3, 2/3, 1, 4/3; the last, at 5/3, is off the map. Element 0 looks at the first two of them,
    # and element 1 at the two from itself on.
    assert_close(dx[0, 0], np.repeat([[5 / 3], [2]], 3, 1), "gradient")


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (WARP(0, 2), {"x": X, "rois": ROIS}, "pooled_h is 0 and pooled_w 2"),
        (WARP(2, 2), {"x": X, "rois": (3, 4)}, "it must be R × 5"),
        (WARP(2, 2).replace("0.5", "0"), {"x": X, "rois": ROIS}, "spatial_scale is 0"),
        ('type: "MaskPooling"', {"x": (3, 4, 2, 5), "m": (3, 2, 2, 5)}, r"\(N, 1, H, W\)"),
        (RESIZE(0, 3), {"x": (1, 1, 2, 2)}, "output_height is 0"),
        (RESIZE(3, 3), {"x": (1, 4)}, "4 axes are needed"),
    ],
)
def test_wrong_configurations_are_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
