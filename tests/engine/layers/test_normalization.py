"""BatchNorm, MVN, LRN, Softmax, Normalization, L2Norm and L2Normalize."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused, slopes

from engine.ops import batch_norm, onednn_proof, platform
from engine.proto import caffe_pb2 as pb

X = {"x": (4, 3, 2, 5)}


def batchnorm(x, *state, over=(0, 2, 3), eps=1e-5):
    return (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + eps)


def by_averages(x, mean, variance, n, eps=1e-5):
    across = (slice(None), *[None] * (x.ndim - 2))
    return (x - (mean / n)[across]) / np.sqrt((variance / n)[across] + eps)


def mvn(x, over=(2, 3), eps=1e-9):
    return (x - x.mean(over, keepdims=True)) / (x.std(over, keepdims=True) + eps)


def across(size, alpha, beta, k):
    def formula(x):
        reach, channels = size // 2, x.shape[1]
        squares = [np.sum(x[:, max(c - reach, 0) : c + reach + 1] ** 2, 1) for c in range(channels)]
        return x * (k + alpha / size * np.stack(squares, 1)) ** -beta

    return formula


def within(size, alpha, beta):
    def formula(x):
        reach, y = size // 2, np.empty_like(x)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                around = x[:, :, max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
                y[:, :, i, j] = x[:, :, i, j] * (1 + alpha / size**2 * np.sum(around**2, (2, 3))) ** -beta
        return y

    return formula


def softmax(x, axis=1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


NORMALIZE = 'type: "Normalize" norm_param {{ {} }}'.format


def unit(over, eps=1e-10):
    return lambda x, scale: scale * x / np.sqrt((x**2).sum(over, keepdims=True) + eps)


def unit_items(x, eps):
    """x / |x| of an item (N, K), with four axes."""
    return (x / np.sqrt((x**2).sum(1, keepdims=True) + eps))[..., None, None]


CASES = [
    Case(
        "unit items",
        'type: "Normalization"',
        {"x": (2, 3, 2)},
        lambda x: x / np.sqrt((x**2).sum(tuple(range(1, x.ndim)), keepdims=True)),
    ),
    Case(
        "of RAM",
        'type: "NormalizationL2"',
        {"x": (2, 3)},
        lambda x: x / np.sqrt((x**2).sum(tuple(range(1, x.ndim)), keepdims=True)),
    ),
    Case("l2 norm", 'type: "L2Norm"', X, lambda x: x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True))),
    Case("l2", 'type: "L2Normalize"', {"x": (2, 3)}, lambda x: unit_items(x, 1e-7)),
    Case("batchnorm", 'type: "BatchNorm"', X, batchnorm),
    Case("batchnorm eps", 'type: "BatchNorm" batch_norm_param { eps: 0.1 }', X, lambda x, *s: batchnorm(x, eps=0.1)),
    Case("batchnorm 2 axes", 'type: "BatchNorm"', {"x": (6, 3)}, lambda x, *s: batchnorm(x, over=0)),
    Case("batchnorm 1 axis", 'type: "BatchNorm"', {"x": (6,)}, lambda x, *s: batchnorm(x, over=0)),
    Case(
        "batchnorm 5 axes", 'type: "BatchNorm"', {"x": (2, 3, 2, 1, 2)}, lambda x, *s: batchnorm(x, over=(0, 2, 3, 4))
    ),
    Case("batchnorm in test", 'type: "BatchNorm"', X, by_averages, phase=pb.TEST),
    Case(
        "batchnorm global 2 axes",
        'type: "BatchNorm" batch_norm_param { use_global_stats: true eps: 0.3 }',
        {"x": (4, 3)},
        lambda *v: by_averages(*v, eps=0.3),
    ),
    Case(
        "batchnorm of the batch in test",
        'type: "BatchNorm" batch_norm_param { use_global_stats: false }',
        X,
        batchnorm,
        phase=pb.TEST,
    ),
    Case("mvn", 'type: "MVN"', X, mvn),
    Case("mvn across channels", 'type: "MVN" mvn_param { across_channels: true }', X, lambda x: mvn(x, over=(1, 2, 3))),
    Case(
        "mvn mean only",
        'type: "MVN" mvn_param { normalize_variance: false }',
        X,
        lambda x: x - x.mean((2, 3), keepdims=True),
    ),
    Case("mvn 3 axes", 'type: "MVN"', {"x": (2, 3, 7)}, lambda x: mvn(x, over=2)[..., None]),
    Case("lrn defaults", 'type: "LRN"', {"x": (2, 7, 3, 4)}, across(5, 1, 0.75, 1)),
    Case(
        "lrn k 2",
        'type: "LRN" lrn_param { alpha: 0.3 beta: 0.5 k: 2 }',
        {"x": (2, 6, 2, 3)},
        across(5, 0.3, 0.5, 2),
    ),
    Case("lrn size 1", 'type: "LRN" lrn_param { local_size: 1 }', {"x": (2, 3, 2, 2)}, across(1, 1, 0.75, 1)),
    Case(
        "lrn beyond the channels", 'type: "LRN" lrn_param { local_size: 9 }', {"x": (2, 3, 2, 2)}, across(9, 1, 0.75, 1)
    ),
    Case(
        "lrn over many channels",
        'type: "LRN" lrn_param { local_size: 151 }',
        {"x": (1, 90, 2, 2)},
        across(151, 1, 0.75, 1),
    ),
    Case("lrn one channel", 'type: "LRN"', {"x": (2, 1, 2, 2)}, across(5, 1, 0.75, 1)),
    Case(
        "lrn engine",
        'type: "LRN" lrn_param { local_size: 3 engine: CUDNN }',
        {"x": (1, 4, 2, 2)},
        across(3, 1, 0.75, 1),
    ),
    Case(
        "lrn within",
        'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.5 }',
        {"x": (2, 3, 6, 5)},
        within(3, 0.5, 0.75),
    ),
    Case(
        "lrn within, whatever k",
        'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 5 beta: 0.9 k: 7 }',
        {"x": (1, 2, 4, 7)},
        within(5, 1, 0.9),
    ),
    Case(
        "lrn within more than the plane",
        'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 7 }',
        {"x": (1, 2, 2, 3)},
        within(7, 1, 0.75),
    ),
    Case("lrn empty batch", 'type: "LRN"', {"x": (0, 3, 2, 2)}, across(5, 1, 0.75, 1)),
    Case("normalize", 'type: "Normalize"', X, unit((1, 2, 3))),
    Case("normalize a row", 'type: "Normalize"', {"x": (3, 4)}, unit(1)),
    Case("normalize channels", NORMALIZE("across_spatial: false eps: 0.1"), {"x": (2, 3, 2, 2)}, unit(1, 0.1)),
    Case("softmax", 'type: "Softmax"', X, softmax),
    Case("softmax last axis", 'type: "Softmax" softmax_param { axis: -1 }', X, lambda x: softmax(x, -1)),
    Case("softmax of size 1", 'type: "Softmax"', {"x": (3, 1)}, np.ones_like),
    Case("softmax of nothing", 'type: "Softmax"', {"x": (0, 4)}, lambda x: x),
    Case(
        "softmax of large values",
        'type: "Softmax"',
        {"x": np.array([[1e4, 0.0, 1e4]])},
        lambda x: np.array([[0.5, 0, 0.5]]),
    ),
]


class TestCases(Cases):
    cases = CASES


REFUSED = [
    ('type: "BatchNorm" param { lr_mult: 0 } param { lr_mult: 2 }', X, "param 1 has lr_mult 2, but it is a running"),
    ('type: "BatchNorm" param { }', X, "param 0 has lr_mult 1"),
    ('type: "BatchNorm"', {"x": ()}, "is a scalar"),
    ('type: "LRN" lrn_param { local_size: 0 }', X, "local_size is 0; it must be odd"),
    ('type: "LRN" lrn_param { local_size: 4 }', X, "local_size is 4; it must be odd"),
    ('type: "LRN"', {"x": (2, 3)}, "takes 4 axes"),
    ('type: "Normalize"', {"x": (3,)}, "2 axes or more are needed"),
    ('type: "Softmax" softmax_param { axis: 4 }', X, "axis 4 is not one of"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


@pytest.mark.parametrize("shape", [(4, 3, 2, 5), (6, 3), (1, 3)])
def test_batchnorm_updates_its_averages(shape):
    case = Case("averages", 'type: "BatchNorm" batch_norm_param { moving_average_fraction: 0.8 }', {"x": shape})
    state, bottoms = case.values()
    updates = case.net.forward(state, bottoms).updates
    x, over = bottoms["x"], tuple(a for a in range(len(shape)) if a != 1)
    m = x.size // shape[1]
    assert_close(updates[0], 0.8 * state[0] + x.mean(over))
    assert_close(updates[1], 0.8 * state[1] + x.var(over) * (m / (m - 1) if m > 1 else 1))
    assert_close(updates[2], 0.8 * state[2] + 1)


def test_batchnorm_without_a_term_uses_zeros():
    case = Case("no terms", 'type: "BatchNorm"', X, phase=pb.TEST)
    bottoms = case.values()[1]
    forward = case.net.forward(case.net.init(seed=0), bottoms)
    assert_close(forward.outputs["y0"], bottoms["x"] / np.sqrt(1e-5))
    assert forward.updates == {}


def test_batchnorm_averages_have_no_gradient():
    case = Case("state", 'type: "BatchNorm"', X)
    state, bottoms = case.values()
    assert not any(p.learned for p in case.net.params)
    gradient = jax.grad(lambda s: sum(u.sum() for u in case.net.forward(state, {"x": s}).updates.values()))
    np.testing.assert_array_equal(gradient(bottoms["x"]), 0)


@pytest.mark.skipif(not onednn_proof.passed(), reason="channels are not last here, and the sums are others")
def test_a_pass_of_batchnorm_and_its_gradient_need_no_more_memory_than_for_two_blobs():
    x, per_channel = (jax.ShapeDtypeStruct(shape, np.float32) for shape in ((4, 32, 28, 28), (32,)))

    def both(x, scale, shift, dy):
        made, pull = jax.vjp(lambda *given: batch_norm.normalize_batch(*given, 1e-5, True), x, scale, shift)
        return made.y, pull(made._replace(y=dy))

    compiled = jax.jit(both).lower(x, per_channel, per_channel, x).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 2.1 * 4 * x.size


@pytest.mark.parametrize("shape", [(32, 3, 5, 5), (1, 3, 5, 5), (6, 3)])
@pytest.mark.parametrize("first", [0, 1e3])
def test_statistics_are_exact_where_a_gpu_reads_a_blob_once(shape, first):
    """Means far from 0, a first item far from the others, a channel whose values are all the same."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x[:, 1] += 1e4
    x[0] += first
    x[:, 2] = 7.1
    over = tuple(a for a in range(x.ndim) if a != 1)
    mean, variance = x.mean(over, np.float64), x.var(over, np.float64)
    with platform.no_cpu():
        made = jax.jit(lambda x: batch_norm.normalize_batch(x, None, None, 1e-5, False))(x)
    assert (np.abs(made.mean - mean) <= 1e-5 * np.sqrt(variance) + 1e-6 * np.abs(mean)).all()
    np.testing.assert_allclose(made.variance, variance, rtol=1e-4, atol=1e-6)


def test_mvn_gradient_of_a_constant_channel_is_finite():
    assert np.isfinite(slopes('type: "MVN"', x=np.ones((1, 2, 2, 2)))[0]).all()


def test_mvn_gradient_counts_eps_as_caffe_does():
    layer = 'type: "MVN" mvn_param { eps: 0.5 }'
    case = Case("eps", layer, {"x": (1, 1, 1, 6)})
    x = case.values()[1]["x"]
    dy = np.arange(6, dtype=np.float32)
    got = jax.grad(lambda v: (case.net.forward([], {"x": v}).outputs["y0"].reshape(-1) * dy).sum())(x).reshape(-1)
    y = mvn(x, eps=0.5).reshape(-1)
    assert_close(got, (dy - dy.mean() - y * (y * dy).mean()) / (x.std() + 0.5))


def test_so_many_items_at_a_time_are_a_batch_of_their_own():
    layer = 'type: "BatchNorm" batch_norm_param { stats_batch_size: 2 moving_average_fraction: 0.5 }'
    case = Case("parts", layer, X)
    x = case.values()[1]["x"]
    start = [np.float32([1, 2, 3]), np.float32([4, 5, 6]), np.float32([2])]
    forward = case.net.forward(start, {"x": x}, keep=True)
    (top,) = (forward.values[v] for v in case.net.tops[-1])
    assert_close(top, np.concatenate([batchnorm(x[:2]), batchnorm(x[2:])]))
    mean, variance, terms = start
    for part in (x[:2], x[2:]):
        mean = 0.5 * mean + part.mean((0, 2, 3))
        variance = 0.5 * variance + part.var((0, 2, 3)) * 20 / 19
        terms = 0.5 * terms + 1
    for got, want in zip((forward.updates[i] for i in range(3)), (mean, variance, terms), strict=True):
        assert_close(got, want)
    check_refused('type: "BatchNorm" batch_norm_param { stats_batch_size: 3 }', X, "does not divide the 4 items")
