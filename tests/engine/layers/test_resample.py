"""Resample and Downsample; recorded values tell sizes that do not divide each other."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused

X = {"x": (2, 3, 4, 6)}
LIKE = {**X, "like": (1, 1, 2, 3)}
RESAMPLE = 'type: "Resample" resample_param {{ {} }}'.format
DOWNSAMPLE = 'type: "Downsample" downsample_param {{ {} }}'.format


def pairs(x):
    """The means of 2 × 2 pixels, which two places between pixels are."""
    return (x[:, :, ::2] + x[:, :, 1::2])[..., ::2] / 4 + (x[:, :, ::2] + x[:, :, 1::2])[..., 1::2] / 4


def ends(x):
    return x[:, :, [0, -1]][..., [0, -1]]


class TestCases(Cases):
    cases = (
        Case("bilinear, halved", RESAMPLE("height: 2 width: 3 antialias: false"), X, pairs),
        Case("nearest", RESAMPLE("height: 8 width: 12 type: NEAREST"), X, lambda x: x.repeat(2, 2).repeat(2, 3)),
        Case("nearest, as another", RESAMPLE("type: NEAREST"), LIKE, lambda x, like: x[:, :, 1::2, 1::2]),
        Case("bicubic, the same size", RESAMPLE("height: 4 width: 6 type: CUBIC"), X, lambda x: x),
        Case("downsample to the same", DOWNSAMPLE("top_height: 4 top_width: 6"), X, lambda x: x),
    )


def downsampled(x, height, width):
    case = Case("means", DOWNSAMPLE(f"top_height: {height} top_width: {width}"), {"x": np.asarray(x)[None, None]})
    return np.asarray(case.run([], case.values()[1])[0])[0, 0]


def test_downsampling_leaves_out_what_is_not_known():
    x = np.tile(np.arange(5.0), (5, 1))
    want = [1 / 3, 2, 11 / 3]
    assert_close(downsampled(x, 3, 3), [want] * 3)
    x[2, 2] = np.nan
    assert_close(downsampled(x, 3, 3), [want] * 3)


def test_what_is_mostly_unknown_is_not_known():
    x = np.full((5, 5), np.nan)
    x[:2, :2] = 7
    found = downsampled(x, 3, 3)
    assert np.isnan(found).sum() == 8
    assert found[0, 0] == 7


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (RESAMPLE("factor: 2"), X, r"it needs resample_param \{ height, width \}"),
        (RESAMPLE("height: 2 width: 2 type: AREA"), X, "must be NEAREST, LINEAR or CUBIC"),
        (RESAMPLE("height: 2 width: 2"), {"x": (2, 3)}, r"must be \(N, C, H, W\)"),
        (DOWNSAMPLE("top_height: 1 top_width: 2"), X, "makes 1×2 of 4×6"),
        (DOWNSAMPLE(""), {**X, "like": (2, 3)}, r"must be \(N, C, H, W\)"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
