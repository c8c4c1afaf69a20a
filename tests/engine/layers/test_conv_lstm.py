"""ConvLSTM: against loops over steps and pixels."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused

T, N, C, D, H, W = 3, 2, 3, 2, 4, 3
CONT = np.array([[0, 1], [1, 0], [1, 1]], float)
X, STATE = (T, N, C, H, W), (1, N, D, H, W)
CONV = "num_output: 2 kernel_size: 3 pad: 1"
PARTS = {"x": X, "cont": CONT}
EXPOSED = {**PARTS, "h": STATE, "c": STATE}


def layer(conv=f"lstm_conv_param {{ {CONV} }}", debug="", more=""):
    return f'type: "ConvLSTM" {conv} lstm_debug_param {{ {debug} }} {more}'


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def correlated(x, w, dilation=1):
    """x (C, H, W) under w (O, C, 3, 3), padded so that the size stays."""
    padded = np.pad(x, ((0, 0), (dilation, dilation), (dilation, dilation)))
    y = np.zeros((len(w), *x.shape[1:]))
    for i, j in np.ndindex(*x.shape[1:]):
        part = padded[:, i : i + 2 * dilation + 1 : dilation, j : j + 2 * dilation + 1 : dilation]
        y[:, i, j] = (w * part).sum((1, 2, 3))
    return y


def unrolled(x, cont, h, c, wx, wh, b=0, looks=(0, 0, 0), dilation=1):
    """h of every step, and the last h and c."""
    tops, b = np.zeros((T, N, D, H, W)), np.reshape(b, (-1, 1, 1))
    ends = np.zeros((2, 1, N, D, H, W))
    for n in range(N):
        hidden, cell = h[0, n], c[0, n]
        for t in range(T):
            driven = correlated(x[t, n], wx, dilation) if wx is not None else 0
            i, f, o, g = np.split(driven + correlated(cont[t, n] * hidden, wh) + b, 4)
            i, f, o = (gate + look * cell for gate, look in zip((i, f, o), looks, strict=True))
            cell = cont[t, n] * sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = tops[t, n] = sigmoid(o) * np.tanh(cell)
        ends[:, 0, n] = hidden, cell
    return tops, *ends


TWO = 'lstm_conv_param {{ type: "hidden" {} }} lstm_conv_param {{ type: "input" {} dilation: 2 }}'.format(
    CONV,
    CONV.replace("pad: 1", "pad: 2"),
)


class TestCases(Cases):
    cases = (
        Case(
            "remembers",
            layer(),
            PARTS,
            lambda x, t, wx, wh, b, i, f, o, h, c: unrolled(x, t, h[None], c[None], wx, wh, b, (i, f, o))[0],
        ),
        Case(
            "exposed",
            layer(more="recurrent_param { expose_hidden: true }"),
            EXPOSED,
            lambda x, t, h, c, wx, wh, b, *looks: unrolled(x, t, h, c, wx, wh, b, looks),
            tops=3,
        ),
        Case(
            "of channels",
            layer(debug="axis_hadamard: 2 num_axes_hadamard: 1", more="recurrent_param { expose_hidden: true }"),
            EXPOSED,
            lambda x, t, h, c, wx, wh, b, *looks: unrolled(
                x, t, h, c, wx, wh, b, [look[:, None, None] for look in looks]
            ),
            tops=3,
        ),
        Case(
            "two convolutions",
            layer(TWO, "disable_hadamard: true"),
            PARTS,
            lambda x, t, wx, wh, b, h, c: unrolled(x, t, h[None], c[None], wx, wh, b, dilation=2)[0],
        ),
        Case(
            "without x or bias",
            layer(f"lstm_conv_param {{ {CONV} bias_term: false }}", "disable_hadamard: true ignore_x: true"),
            PARTS,
            lambda x, t, wh, h, c: unrolled(x, t, h[None], c[None], None, wh)[0],
        ),
    )


def test_weights_of_the_cell_begin_as_one():
    net = Case("new", layer(), PARTS).net
    names = [p.decl.name for p in net.params]
    assert names[:3] == ["input weight", "hidden weight", "bias"]
    assert all(np.all(value == 1) for value in net.init(0)[3:6])


def test_the_next_pass_goes_on():
    case = Case("remembers", layer(), PARTS)
    params, bottoms = case.values()
    made = case.net.forward(params, bottoms, keep=True)
    wx, wh, b, i, f, o, h, c = (np.float64(p) for p in params)
    _, last_h, last_c = unrolled(bottoms["x"], CONT, h[None], c[None], wx, wh, b, (i, f, o))
    for got, want in zip(made.updates.values(), (last_h[0], last_c[0]), strict=True):
        assert_close(got, want)


@pytest.mark.parametrize(
    ("config", "bottoms", "tops", "message"),
    [
        (layer(""), PARTS, 1, "it has 0 lstm_conv_param; give one"),
        (layer('lstm_conv_param { type: "input" }'), PARTS, 1, 'is of type "input"; give the other too'),
        (layer("lstm_conv_param { kernel_size: 3 }"), PARTS, 1, "num_output of 1 or more"),
        (layer("lstm_conv_param { num_output: 2 kernel_h: 3 }"), PARTS, 1, "needs kernel_size; kernel_h, pad_h"),
        (layer("lstm_conv_param { num_output: 2 kernel_size: 3 }"), PARTS, 1, "makes maps of 2×1 of 4×3"),
        (layer(TWO.replace("num_output: 2", "num_output: 3", 1)), PARTS, 1, "num_output is 2 for x and 3 for h"),
        (layer(debug='expose: "c_t=1"'), PARTS, 1, "lstm_debug_param exposes blobs"),
        (layer(debug="axis_hadamard: 4"), PARTS, 1, "axis_hadamard 4 and num_axes_hadamard 2 exceed 5 axes"),
        (layer(), EXPOSED, 1, "it has 4 bottoms and 1 tops"),
        (layer(more="recurrent_param { expose_hidden: true }"), PARTS, 3, "it has 2 bottoms and 3 tops"),
        (layer(more="recurrent_param { expose_hidden: true }"), {**EXPOSED, "c": X}, 3, r'"c" of shape \[3, 2, 3'),
        (layer(), {"x": (T, N, C, H), "cont": CONT}, 1, r"give x \(steps, streams, C, H, W\)"),
        (layer(), {"x": X, "cont": (2, 2)}, 1, "a marker for each step and stream"),
    ],
)
def test_wrong_configuration_is_refused(config, bottoms, tops, message):
    check_refused(config, bottoms, message, tops)
