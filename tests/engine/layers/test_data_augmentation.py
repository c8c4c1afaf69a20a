"""DataAugmentation without random changes: against loops."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused, net_of

from engine.net import weights
from engine.proto import caffe_pb2 as pb

X = {"x": (2, 3, 5, 6)}
LAYER = 'type: "DataAugmentation" augmentation_param {{ {} }}'.format
CROP = "crop_height: 4 crop_width: 3"


def middle(x, height, width):
    def along(x, cut):
        rows = []
        for i in range(cut):
            at = min(i + (len(x) - cut) / 2, len(x) - 1.05)
            low, part = int(at), at - int(at)
            rows.append((1 - part) * x[low] + part * x[low + 1])
        return np.stack(rows)

    down = along(np.moveaxis(x, 2, 0), height)
    return np.moveaxis(along(np.moveaxis(down, 3, 0), width), (0, 1), (3, 2))


def run(options, params, phase=pb.TEST):
    case = Case("run", LAYER(options), X, phase=phase)
    x = case.values()[1]["x"]
    made = case.net.forward([np.float32(p) for p in params], {"x": x}, keep=True)
    return np.float64(x), np.asarray(made.outputs["y0"]), [np.asarray(v) for v in made.updates.values()]


def states(count, shape=(1, 3, 4, 3)):
    rng = np.random.default_rng(0)
    return np.full((1, 1, 1, 1), count), rng.standard_normal(shape), rng.standard_normal((1, 3, 1, 1))


@pytest.mark.parametrize(("height", "width"), [(4, 3), (5, 6), (1, 1), (3, 5)])
def test_the_middle_is_cut_out(height, width):
    x, top, (count,) = run(f"crop_height: {height} crop_width: {width}", [np.full((1, 1, 1, 1), 7)])
    assert_close(top, middle(x, height, width))
    assert count == 8


def test_without_sizes_nothing_is_cut():
    x, top, _ = run("crop_width: 3", [np.zeros((1, 1, 1, 1))])
    assert_close(top, x)


def test_a_given_mean_is_subtracted():
    x, top, _ = run(f"{CROP} mean: [1, 2, 3] mean_per_pixel: false", [np.zeros((1, 1, 1, 1))])
    assert_close(top, middle(x, 4, 3) - np.array([1, 2, 3]).reshape(1, 3, 1, 1))


@pytest.mark.parametrize("by_pixel", [True, False])
@pytest.mark.parametrize(("done", "learns"), [(9, True), (10, False)])
def test_the_first_passes_learn_the_mean(by_pixel, done, learns):
    count, pixels, channels = states(done)
    options = f"{CROP} recompute_mean: 10 mean_per_pixel: {str(by_pixel).lower()}"
    x, top, after = run(options, (count, pixels, channels))
    y = middle(x, 4, 3)
    if learns:
        pixels = (pixels * done + y.mean(0, keepdims=True)) / (done + 1)
        channels = pixels.mean((2, 3), keepdims=True)
    for got, want in zip(after, (count + 1, pixels, channels), strict=True):
        assert_close(got, want)
    assert_close(top, y - (pixels if by_pixel else channels))


@pytest.mark.parametrize("by_pixel", [True, False])
def test_a_model_of_another_size_gives_its_mean_of_channels(by_pixel):
    net = net_of(LAYER(f"{CROP} recompute_mean: 10 mean_per_pixel: {str(by_pixel).lower()}"), X)
    count, pixels, channels = states(2000, (1, 3, 7, 8))
    loaded = weights.load_blobs(net, net.init(0), {"layer": [np.float32(v) for v in (count, pixels, channels)]})
    mean = pixels.mean((2, 3), keepdims=True) if by_pixel else channels
    for got, want in zip(loaded, (count, by_pixel * mean + np.zeros((1, 3, 4, 3)), mean), strict=True):
        assert_close(got, want)


def test_a_model_of_this_size_comes_back_whole():
    net = net_of(LAYER(f"{CROP} recompute_mean: 10 mean_per_pixel: false"), X)
    given = [np.float32(v) for v in states(5)]
    for got, want in zip(weights.load_blobs(net, net.init(0), {"layer": given}), given, strict=True):
        np.testing.assert_array_equal(got, want)


def test_means_of_a_model_are_left_where_none_is_computed():
    net = net_of(LAYER(CROP), X)
    (count,) = weights.load_blobs(net, net.init(0), {"layer": [np.float32(v) for v in states(5)]})
    assert count == 5


def test_step_lowers_for_cuda():
    case = Case("export", LAYER(f"{CROP} recompute_mean: 10"), X)
    assert not case.differentiable()
    check_export(case)


@pytest.mark.parametrize("phase", [pb.TRAIN, pb.TEST])
def test_random_changes_are_refused_where_they_would_happen(phase):
    rotates = f'{CROP} rotate {{ rand_type: "uniform" spread: 0.4 }}'
    net_of(LAYER(rotates), X, phase=pb.TEST)
    net_of(LAYER(rotates.replace("crop_width: 3", "")), X, phase=phase)
    during_test = "augment_during_test: true" if phase == pb.TEST else ""
    check_refused(LAYER(f"{rotates} {during_test}"), X, "rotate changes pictures at random", phase=phase)


@pytest.mark.parametrize(
    ("options", "bottoms", "message"),
    [
        ("crop_height: 6 crop_width: 3", X, r"crop_height 6 and crop_width 3 do not fit"),
        ("crop_height: 0 crop_width: 3", X, r"crop_height 0"),
        ("mean: [1, 2, 3] mean_per_pixel: false", {"x": (1, 2, 4, 4)}, 'a mean of 3 values, and bottom "x" 2 channels'),
        ("", {"x": (3, 4)}, r"\[3, 4\]"),
    ],
)
def test_wrong_configuration_is_refused(options, bottoms, message):
    check_refused(LAYER(options), bottoms, message)
