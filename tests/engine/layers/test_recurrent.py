"""RNN, LSTM, LSTMUnit: formulas step by step, state from pass to pass, refusals."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_formula, check_gradient, check_refused, net_of

from engine.net import weights

T, N, F, S, D = 4, 2, 3, 6, 5
CONT = np.array([[0, 1], [1, 1], [1, 0], [1, 1]], float)
SEQUENCE = {"x": (T, N, F), "cont": CONT}
PARAM = "recurrent_param { num_output: 5 weight_filler { type: 'gaussian' } %s }"
LSTM = 'type: "LSTM" ' + PARAM % ""
RNN = 'type: "RNN" ' + PARAM % ""
EXPOSED = PARAM % "expose_hidden: true"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unit(c, gates, cont):
    i, f, o, g = np.split(gates, 4, axis=-1)
    c = cont[..., None] * sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def lstm_steps(x, cont, w, b, w_h, h, c, extra=0):
    tops = []
    for x_t, cont_t in zip(x, cont, strict=True):
        c, h = unit(c, x_t.reshape(N, -1) @ w.T + b + extra + (cont_t[:, None] * h) @ w_h.T, cont_t)
        tops.append(h)
    return np.stack(tops), h, c


def lstm(x, cont, w, b, w_h, h, c):
    return lstm_steps(x, cont, w, b, w_h, h, c)[0]


def lstm_static(x, cont, s, w, b, w_s, w_h, h, c):
    return lstm_steps(x, cont, w, b, w_h, h, c, s @ w_s.T)[0]


def lstm_exposed(x, cont, h, c, w, b, w_h):
    y, h, c = lstm_steps(x, cont, w, b, w_h, h[0], c[0])
    return y, h[None], c[None]


def rnn(x, cont, w, b, w_h, w_o, b_o, h):
    tops = []
    for x_t, cont_t in zip(x, cont, strict=True):
        h = np.tanh(x_t.reshape(N, -1) @ w.T + b + (cont_t[:, None] * h) @ w_h.T)
        tops.append(np.tanh(h @ w_o.T + b_o))
    return np.stack(tops)


UNIT = {"c": (1, N, D), "gates": (1, N, 4 * D), "cont": np.array([[1.0, 0.0]])}
CASES = [
    Case("lstm", LSTM, SEQUENCE, lstm),
    Case("lstm of more axes", LSTM, {"x": (T, N, 2, 3), "cont": CONT}, lstm),
    Case("lstm of one step", LSTM, {"x": (1, N, F), "cont": np.ones((1, N))}, lstm),
    Case("lstm static", LSTM, {**SEQUENCE, "s": (N, S)}, lstm_static),
    Case("rnn", RNN, SEQUENCE, rnn),
    Case("lstm unit", 'type: "LSTMUnit"', UNIT, unit, tops=2),
]
HIDDEN = Case(
    "lstm exposed", f'type: "LSTM" {EXPOSED}', {**SEQUENCE, "h": (1, N, D), "c": (1, N, D)}, lstm_exposed, tops=3
)


@pytest.mark.parametrize("case", [*CASES, HIDDEN], ids=str)
def test_tops_equal_the_formula(case):
    check_formula(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_numerical_one(case):
    check_gradient(case)


@pytest.mark.parametrize("case", [*CASES, HIDDEN], ids=str)
def test_lowers_for_cuda(case):
    check_export(case)


def test_no_gradient_goes_to_the_markers():
    assert HIDDEN.differentiable() == ["x"]


def test_a_pass_goes_on_from_where_the_last_one_ended():
    halves = net_of(LSTM, {"x": (2, N, F), "cont": (2, N)})
    whole = net_of(LSTM, {"x": (4, N, F), "cont": (4, N)})
    params = halves.init(1)
    x, cont = np.random.default_rng(0).standard_normal((4, N, F)).astype("f"), np.ones((4, N), np.float32)
    tops = []
    for part in (slice(0, 2), slice(2, 4)):
        out = halves.forward(params, {"x": x[part], "cont": cont[part]})
        params = [out.updates.get(k, p) for k, p in enumerate(params)]
        tops.append(out.outputs["y0"])
    assert_close(np.concatenate(tops), whole.forward(whole.init(1), {"x": x, "cont": cont}).outputs["y0"])


def test_the_state_is_in_no_model():
    net = net_of(LSTM, SEQUENCE)
    (layer,) = [layer for layer in weights.to_model(net, net.init(0)).layer if layer.name == "layer"]
    assert [list(blob.shape.dim) for blob in layer.blobs] == [[20, 3], [20], [20, 5]]


def test_another_number_of_streams_begins_with_zeros():
    net = net_of(LSTM, SEQUENCE)
    params = [*net.init(1)[:3], *(np.full(p.shape, 7, np.float32) for p in net.params[3:])]
    wide = {"x": np.ones((T, 3, F), np.float32), "cont": np.ones((T, 3), np.float32)}
    got = jax.jit(net.forward)(params, wide).outputs["y0"]
    fresh = net_of(LSTM, {"x": (T, 3, F), "cont": (T, 3)})
    assert_close(got, fresh.forward([*params[:3], *fresh.init(1)[3:]], wide).outputs["y0"])


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "LSTM"', SEQUENCE, "num_output"),
        (LSTM, {"x": (T, N, F), "cont": (T, 3)}, r"\[4, 3\].*one marker for each step and stream"),
        (LSTM, {"x": (T,), "cont": (T,)}, "must be"),
        (LSTM, {**SEQUENCE, "s": (3, S)}, "must have 2 rows"),
        (LSTM, {**SEQUENCE, "s": (N, S), "more": (N,)}, "4 bottoms"),
        (f'type: "LSTM" {EXPOSED}', SEQUENCE, "with expose_hidden 2 states"),
        ('type: "LSTMUnit"', {**UNIT, "gates": (1, N, D)}, r"must be of shapes \(1, N, D\)"),
    ],
)
def test_refuses(layer, bottoms, message):
    check_refused(layer, bottoms, message, tops=2 if "Unit" in layer else 1)


def test_refuses_hidden_states_of_another_shape():
    bottoms = {**SEQUENCE, "h": (1, N, D), "c": (N, D)}
    check_refused(
        f'type: "LSTM" {EXPOSED}', bottoms, r'bottom "c" of shape \[2, 5\] must be of shape \[1, 2, 5\]', tops=3
    )
