"""DenseBlock: against its steps, written out."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused

from engine.graph import dense_blocks
from engine.proto import caffe_pb2 as pb

BLOCK = """type: "DenseBlock" denseblock_param {{ numTransition: 2 growthRate: 2 Filter_Filler {{ type: "msra" }}
BN_Scaler_Filler {{ value: 1 }} {} }}""".format
X = {"x": (2, 3, 3, 4)}


def normalized(x, scaler, bias, mean=None, variance=None):
    if mean is None:
        mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scaler + bias, 0)


def convolved(x, w):
    """A convolution, whose kernel runs against the map."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w[:, :, ::-1, ::-1])


def plain(x, *params):
    for i in range(2):
        scaler, bias = params[2 + i], params[4 + i]
        x = np.concatenate([x, convolved(normalized(x, scaler, bias), params[i])], 1)
    return x


def bottleneck(x, *params):
    for i in range(2):
        y = normalized(x, params[2 + i], params[4 + i])
        y = np.einsum("nchw,oc->nohw", y, params[10 + i][:, :, 0, 0])
        x = np.concatenate([x, convolved(normalized(y, params[12 + i], params[14 + i]), params[i])], 1)
    return x


def by_running(x, *params):
    terms = params[10]
    for i in range(2):
        y = normalized(x, params[2 + i], params[4 + i], params[6 + i] / terms, params[8 + i] / terms)
        x = np.concatenate([x, convolved(y, params[i])], 1)
    return x


CASES = [
    Case("dense block", BLOCK(""), X, plain),
    Case("dense block of bottlenecks", BLOCK("use_BC: true"), X, bottleneck),
    Case("dense block in test", BLOCK(""), X, by_running, phase=pb.TEST),
]


class TestCases(Cases):
    cases = CASES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_its_parameters_are_those_told_without_jax(case):
    node = case.net.graph.nodes[case.net.layer_names.index("layer")]
    told = dense_blocks.params(node, X["x"])
    assert [(p.decl.name, p.shape) for p in case.net.params] == told


def test_running_values_take_their_fraction_of_the_batch_s():
    case = Case("running", BLOCK("moving_average_fraction: 0.25"), X)
    params = [np.asarray(p) for p in case.net.init(seed=0)]
    assert (params[6] == 0).all()
    assert (params[8] == 1).all()
    x = case.values()[1]["x"]
    updated = case.net.compile(lambda *given: case.net.forward(*given, jax.random.key(0)).updates)(params, {"x": x})
    assert_close(np.ravel(updated[6]), 0.25 * x.mean((0, 2, 3)))
    assert_close(np.ravel(updated[8]), 0.75 + 0.25 * x.var((0, 2, 3)) * 24 / 23)
    assert 10 not in updated


def test_what_was_never_added_up_is_not_divided():
    case = Case("of a gpu", BLOCK(""), X, phase=pb.TEST)
    params, bottoms = case.values()
    params[10][:] = 0
    one = [*params[:10], np.ones(1, np.float32)]
    (got,) = case.net.compile(case.run)(params, bottoms)
    assert_close(got, by_running(bottoms["x"], *one))


def test_dropout_leaves_out_new_values_alone_and_in_training():
    case = Case("dropped", BLOCK("use_dropout: true dropout_amount: 0.5"), X)
    params, bottoms = case.values()
    (got,) = case.net.compile(case.run)(params, bottoms)
    assert np.array_equal(got[:, :3], bottoms["x"])
    first, whole = np.asarray(got[:, 3:5]), plain(bottoms["x"], *params)[:, 3:5]
    assert 0.2 < (first == 0).mean() < 0.8
    assert_close(first[first != 0], 2 * whole[first != 0])
    assert np.isfinite(got).all()


@pytest.mark.parametrize(
    ("options", "bottoms", "message"),
    [
        ("", {"x": (2, 3)}, "4 axes are needed"),
        ("filter_H: 5", X, "filter_H is 5; its fork uses 3"),
        ("dropout_amount: 1", X, "dropout_amount 1 is not a probability"),
    ],
)
def test_wrong_configurations_are_refused(options, bottoms, message):
    check_refused(BLOCK(options), bottoms, message)


@pytest.mark.parametrize("number", [0, 1001, 10_000_000])
def test_no_transitions_and_very_many_are_refused(number):
    block = BLOCK("").replace("numTransition: 2", f"numTransition: {number}")
    check_refused(block, X, "both must be 1 or more, and numTransition 1000 at most")
