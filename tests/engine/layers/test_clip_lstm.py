"""Lstm of caffe-lstm; recorded values tell its gradients behind a beginning, and bounded ones."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_export, check_formula, check_refused

X = {"x": (6, 3)}
CLIP = {**X, "clip": np.array([0, 1, 1, 0, 1, 1.0])}
LSTM = 'type: "Lstm" lstm_param {{ num_output: 4 {} }}'.format


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(sequences, x, clip, w, hidden, bias, h, c):
    found = []
    for step, goes_on in zip(x.reshape(-1, sequences, 3), clip.reshape(-1, sequences, 1), strict=True):
        i, f, o, g = np.split(step @ w.T + goes_on * (h @ hidden.T) + bias, 4, axis=1)
        c = goes_on * sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return np.concatenate(found)


def anew(sequences):
    def formula(x, w, hidden, bias):
        zeros = np.zeros((sequences, 4))
        return lstm(sequences, x, np.arange(len(x)) >= sequences, w, hidden, bias, zeros, zeros)

    return formula


class TestCases(Cases):
    cases = (
        Case("one sequence", LSTM(""), X, anew(1)),
        Case("two sequences", LSTM("batch_size: 2"), X, anew(2)),
        Case(
            "steps of two",
            LSTM(""),
            {"x": (3, 2, 3)},
            lambda x, *params: anew(2)(x.reshape(6, 3), *params).reshape(3, 2, 4),
        ),
    )


def test_a_marker_begins_a_sequence_anew():
    case = Case("clip", LSTM(""), CLIP, lambda x, clip, *params: lstm(1, x, clip, *params))
    check_formula(case)
    check_export(case)


def test_a_pass_goes_on_from_where_the_last_ended():
    net = Case("on", LSTM('weight_filler { type: "xavier" }'), {"x": (3, 3), "clip": (3,)}).net
    whole = Case("whole", LSTM('weight_filler { type: "xavier" }'), CLIP).net
    x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    params, found, clip = net.init(seed=0), [], np.ones(6, np.float32)
    for part in (x[:3], x[3:]):
        passed = net.forward(params, {"x": part, "clip": clip[:3]}, jax.random.key(0))
        found.append(np.asarray(passed.outputs["y0"]))
        params = [passed.updates.get(k, p) for k, p in enumerate(params)]
    at_once = whole.forward(net.init(seed=0), {"x": x, "clip": clip}, jax.random.key(0))
    assert_close(np.concatenate(found), at_once.outputs["y0"])


def test_gradients_of_gates_are_bounded():
    def slope(options):
        case = Case("bounded", LSTM(options), X)
        params, given = case.values()
        return np.asarray(jax.grad(lambda p: 1000 * sum(top.sum() for top in case.run(p, given)))(params)[2])

    assert np.all(np.abs(slope("clipping_threshold: 0.5")) <= 6 * 0.5)
    assert np.max(np.abs(slope(""))) > 6 * 0.5
    assert_close(slope("clipping_threshold: 1e9"), slope(""))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "Lstm"', X, "lstm_param needs num_output"),
        (LSTM("batch_size: 4"), X, "does not hold whole steps of 4 sequences"),
        (LSTM(""), {**X, "clip": (5,)}, "one marker for each of 6 items"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
