"""What is kept and drawn in TRAIN, by key; what TEST makes of it; refusals."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused

from engine.proto import caffe_pb2 as pb

X = {"x": (2, 3, 4)}


class TestCases(Cases):
    cases = (
        Case("dropout in test", 'type: "Dropout"', X, lambda x: x, phase=pb.TEST),
        Case(
            "dropout scaled in test",
            'type: "Dropout" dropout_param { dropout_ratio: 0.3 scale_train: false }',
            X,
            lambda x: 0.7 * x,
            phase=pb.TEST,
        ),
        Case(
            "dropout of no probability in test",
            'type: "Dropout" dropout_param { dropout_ratio: 1.5 }',
            X,
            lambda x: x,
            phase=pb.TEST,
        ),
        Case("dropout of nothing", 'type: "Dropout" dropout_param { dropout_ratio: 0 }', X, lambda x: x),
        Case("noise in test", 'type: "Noise" noise_param { gaussian_std: 3 }', X, lambda x: x, phase=pb.TEST),
        Case("noise of nothing", 'type: "Noise" noise_param { uniform_range: 0 bias: 2 }', X, lambda x: x + 2),
        Case("selu dropout in test", 'type: "SeLuDropout"', X, lambda x: x, phase=pb.TEST),
        Case(
            "insanity in test",
            'type: "Insanity" insanity_param { lb: 2 ub: 4 }',
            X,
            lambda x: np.where(x > 0, x, x * np.log(2) / 2),
            phase=pb.TEST,
        ),
    )


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "SpatialDropout"', {"x": (3,)}, "2 axes or more"),
        ('type: "Dropout" dropout_param { dropout_ratio: 1 }', X, "dropout_ratio 1 is not"),
        ('type: "Dropout" dropout_param { dropout_ratio: -0.5 }', X, "dropout_ratio -0.5 is not"),
        ('type: "SeLuDropout" selu_dropout_param { dropout_ratio: 1 }', X, "not a probability between 0 and 1"),
        ('type: "Noise"', X, "needs gaussian_std or uniform_range"),
        ('type: "Noise" noise_param { gaussian_std: -1 }', X, "gaussian_std is -1 and uniform_range 0"),
        ('type: "Noise" noise_param { filler_param { type: "xavier" } std: 1 }', X, 'of type "xavier"; it must be'),
        ('type: "Noise" noise_param { filler_param { type: "uniform" } }', X, "needs one std or more"),
        ('type: "Insanity" insanity_param { lb: 3 ub: 3 }', X, "lb must be below ub"),
        ('type: "Insanity" insanity_param { lb: -inf ub: 3 }', X, "neither may be 0 or infinite"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def dropped(seed, ratio=0.3, more="", phase=pb.TRAIN):
    layer = f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} {more} }}'
    case = Case("dropout", layer, {"x": np.ones((100, 100))}, phase=phase)
    return np.asarray(case.net.forward([], case.values()[1], jax.random.key(seed)).outputs["y0"])


def test_dropout_scales_what_it_keeps():
    y = dropped(0)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs(np.mean(y == 0) - 0.3) < 0.02


def test_dropout_may_leave_what_it_keeps():
    assert set(np.unique(dropped(0, more="scale_train: false"))) == {np.float32(0), np.float32(1)}


def test_dropout_may_draw_in_test():
    assert set(np.unique(dropped(0, more="sample_weights_test: true", phase=pb.TEST))) == {0, np.float32(1 / 0.7)}


def test_spatial_dropout_takes_whole_channels():
    case = Case("spatial", 'type: "SpatialDropout"', {"x": np.ones((30, 40, 2, 3))})
    y = np.asarray(case.net.forward([], case.values()[1], jax.random.key(0)).outputs["y0"])
    assert set(np.unique(y)) == {0, 2}
    assert (y == y[:, :, :1, :1]).all()
    assert abs(np.mean(y == 0) - 0.5) < 0.05


def test_dropout_draws_by_key():
    np.testing.assert_array_equal(dropped(1), dropped(1))
    assert (dropped(1) != dropped(2)).any()


def test_dropout_hides_the_same_in_the_gradient():
    case = Case("dropout", 'type: "Dropout"', {"x": (50, 50)})

    def top(x):
        return case.net.forward([], {"x": x}, jax.random.key(5)).outputs["y0"]

    x = case.values()[1]["x"]
    np.testing.assert_array_equal(jax.grad(lambda v: top(v).sum())(x) == 0, top(x) == 0)


def test_selu_dropout_keeps_mean_and_variance():
    case = Case("drop", 'type: "SeLuDropout" selu_dropout_param { dropout_ratio: 0.2 }', {"x": (100, 100)})
    (y,) = case.net.compile(case.run)([], case.values()[1])
    x = case.values()[1]["x"]
    scale = (0.8 + 1.75809934**2 * 0.8 * 0.2) ** -0.5
    kept = np.abs(y - scale * (x + 0.2 * 1.75809934)) < 1e-4
    assert abs(kept.mean() - 0.8) < 0.02
    assert np.allclose(np.asarray(y)[~kept], scale * (0.2 - 1) * 1.75809934, atol=1e-4)
    assert abs(y.mean()) < 0.05
    assert abs(y.var() - 1) < 0.05


def test_insanity_draws_its_slopes():
    case = Case("insanity", 'type: "Insanity" insanity_param { lb: 2 ub: 4 }', {"x": (50, 50)})
    x, (y,) = case.values()[1]["x"], case.net.compile(case.run)([], case.values()[1])
    assert np.array_equal(y[x > 0], x[x > 0])
    drawn = x[x < 0] / np.asarray(y)[x < 0]
    assert drawn.min() >= 2
    assert drawn.max() < 4
    assert abs(drawn.mean() - 3) < 0.1


def noise(options, phase=pb.TRAIN):
    """What a Noise layer adds to 10,000 values."""
    case = Case("noise", f'type: "Noise" noise_param {{ {options} }}', {"x": (100, 100)}, phase=phase)
    x, (y,) = case.values()[1]["x"], case.net.compile(case.run)([], case.values()[1])
    return np.asarray(y) - x


def test_noise_may_be_normal():
    drawn = noise("gaussian_std: 2 bias: 5")
    assert abs(drawn.mean() - 5) < 0.1
    assert abs(drawn.std() - 2) < 0.1
    assert np.abs(drawn - 5).max() > 5


def test_noise_may_be_uniform():
    drawn = noise("uniform_range: 2 bias: 5")
    assert 2.99 < drawn.min() < 3.01
    assert 6.99 < drawn.max() < 7.01


def test_noise_by_a_filler_is_drawn_in_test_too():
    drawn = noise('filler_param { type: "gaussian" mean: 1 } std: 3', pb.TEST)
    assert abs(drawn.mean() - 1) < 0.2
    assert abs(drawn.std() - 3) < 0.1
    uniform = noise('filler_param { type: "uniform" min: -1 max: 3 } std: 1')
    assert uniform.min() < -0.99
    assert 2.99 < uniform.max() < 3.01


def test_noise_by_a_filler_has_one_of_its_deviations():
    layer = 'type: "Noise" noise_param { filler_param { type: "gaussian" } std: 1 std: 100 }'
    case = Case("noise", layer, {"x": np.zeros((50, 50))})
    tops = [case.net.forward([], case.values()[1], jax.random.key(seed)).outputs["y0"] for seed in range(12)]
    assert {int(np.std(top) > 10) for top in tops} == {0, 1}
    assert all(abs(np.std(top) - 1) < 0.1 or abs(np.std(top) - 100) < 10 for top in tops)
