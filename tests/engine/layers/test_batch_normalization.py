"""BN of PSPNet and of SegNet, BatchNorm of NVIDIA's branch, CuDNNBatchNorm."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused, net_of

from engine.proto import caffe_pb2 as pb

X = {"x": (3, 2, 2, 4)}
PSPNET = 'type: "BN" bn_param {{ slope_filler {{ type: "gaussian" }} eps: 0.1 {} }}'.format
SEGNET = 'type: "BN" bn_param { bn_mode: LEARN }'
NVIDIA = 'type: "BatchNorm" batch_norm_param { scale_bias: true moving_average_fraction: 0.9 }'
CUDNN = 'type: "CuDNNBatchNorm" cudnn_batch_norm_param { momentum: 0.9 eps: 1e-6 }'


def normalized(x, eps, mean=None, variance=None):
    over = (0, 2, 3)
    mean = x.mean(over, keepdims=True) if mean is None else mean.reshape(1, -1, 1, 1)
    variance = x.var(over, keepdims=True) if variance is None else variance.reshape(1, -1, 1, 1)
    return (x - mean) / np.sqrt(variance + eps)


def channelwise(v):
    return v.reshape(1, -1, 1, 1)


CASES = [
    Case("pspnet", PSPNET(""), X, lambda x, s, b, m, v: s * normalized(x, 0.1) + b),
    Case("segnet", SEGNET, X, lambda x, s, b: s * normalized(x, 1e-9) + b),
    Case("segnet, folded", 'type: "BN" bn_param { bn_mode: INFERENCE }', X, lambda x, s, b: s * x + b),
    Case("nvidia", NVIDIA, X, lambda x, s, b, *_: channelwise(s) * normalized(x, 1e-5) + channelwise(b)),
    Case("cudnn", CUDNN, X, lambda x, s, b, *_: s * normalized(x, 1e-5) + b),
    Case("cudnn in test", CUDNN, X, lambda x, s, b, m, v: s * normalized(x, 1e-5, m, v) + b, phase=pb.TEST),
    Case(
        "nvidia in test",
        NVIDIA,
        X,
        lambda x, s, b, m, v, n: channelwise(s) * normalized(x, 1e-5, m, v) + channelwise(b),
        phase=pb.TEST,
    ),
]


class TestCases(Cases):
    cases = CASES


def test_frozen_slope_and_bias_have_no_gradient():
    case = Case("frozen", PSPNET("frozen: true"), X)
    x = np.random.default_rng(1).standard_normal(X["x"]).astype(np.float32)
    params = case.net.init(seed=0)
    gradients = jax.grad(lambda params: case.run(params, {"x": x})[0].sum())(params)
    assert not any(np.any(g) for g in gradients[:2])
    assert_close(params[3], np.ones((1, 2, 1, 1)))


def test_in_test_pspnets_gradient_goes_through_the_statistics():
    """It is scale / σ · (dy − the mean of dy − x̂ · that of x̂ · dy), all by the running ones: not a derivative."""
    case = Case("test", PSPNET(""), X, phase=pb.TEST)
    params, given = case.values()
    params = [*params[:3], np.abs(params[3]) + 0.5]
    scale, shift, mean, variance = params
    assert_close(case.run(params, given)[0], scale * normalized(given["x"], 0.1, mean, variance) + shift)
    dy = np.random.default_rng(2).standard_normal(X["x"]).astype(np.float32)
    got = jax.grad(lambda x: (case.run(params, {"x": x})[0] * dy).sum())(given["x"])
    hat, over = (given["x"] - mean) / np.sqrt(variance + 0.1), {"axis": (0, 2, 3), "keepdims": True}
    want = scale / np.sqrt(variance + 0.1) * (dy - np.mean(dy, **over) - hat * np.mean(hat * dy, **over))
    assert_close(got, want)


def test_segnets_top_has_four_axes():
    net = net_of(SEGNET, {"x": (3, 2)})
    assert net.layers[-1].top_shapes == [(3, 2, 1, 1)]


def test_nvidias_averages_begin_with_the_batch():
    net = net_of(NVIDIA, X)
    x = np.random.default_rng(1).standard_normal(X["x"]).astype(np.float32)
    params = net.init(seed=0)
    for iterations, kept in ((0, 0), (1, 0), (2, 0.9)):
        params[2], params[4] = np.ones(2, np.float32), np.array([iterations], np.float32)
        updates = net.forward(params, {"x": x}).updates
        assert_close(updates[2], kept + (1 - kept) * x.mean((0, 2, 3)))
        assert updates[4] == iterations + 1


@pytest.mark.parametrize(
    ("layer", "x", "tops", "message"),
    [
        (PSPNET(""), (3,), 1, "2 axes or more"),
        ('type: "BN" bn_param { bn_mode: INFERENCE }', (3, 2), 2, "no mean and variance to give"),
        (NVIDIA, (3,), 1, "2 axes or more"),
        (SEGNET, (3,), 1, "2 axes or more"),
        (SEGNET, (), 1, "2 axes or more"),
    ],
)
def test_wrong_configuration_is_refused(layer, x, tops, message):
    check_refused(layer, {"x": x}, message, tops)


@pytest.mark.parametrize(("tops", "precision"), [(1, "mixed"), (3, "float32")])
def test_a_batch_s_statistics_are_handed_on_in_float32(tops, precision):
    assert net_of(SEGNET, X, tops).layers[-1].precision == precision


def test_cudnn_keeps_unbiased_variances():
    case = Case("cudnn", CUDNN, X)
    params, bottoms = case.values()
    updates = case.net.forward(params, bottoms).updates
    x = bottoms["x"]
    assert_close(updates[2].ravel(), 0.9 * params[2].ravel() + 0.1 * x.mean((0, 2, 3)))
    assert_close(updates[3].ravel(), 0.9 * params[3].ravel() + 0.1 * x.var((0, 2, 3)) * 24 / 23)
