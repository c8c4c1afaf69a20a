"""Embed, BatchReindex, Filter: formulas, numbers that are no rows, sizes that depend on data, refusals."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused, net_of

from engine.errors import LayerError

IDS = np.array([[0, 2, 2], [8, 1, 0]], float)
EMBED = 'type: "Embed" embed_param { input_dim: 9 num_output: 5 %s }'
CASES = [
    Case("embed", EMBED % "", {"x": IDS}, lambda x, w, b: w[x.astype(int)] + b),
    Case("embed without bias", EMBED % "bias_term: false", {"x": IDS}, lambda x, w: w[x.astype(int)]),
    Case("embed nothing", EMBED % "", {"x": np.zeros((0, 3))}, lambda x, w, b: np.zeros((0, 3, 5))),
    Case(
        "reindex", 'type: "BatchReindex"', {"x": (3, 2), "p": np.array([2.0, 0, 2, 2])}, lambda x, p: x[p.astype(int)]
    ),
    Case("reindex to nothing", 'type: "BatchReindex"', {"x": (3, 2), "p": np.zeros(0)}, lambda x, p: x[:0]),
]
FILTER = 'type: "Filter"'


class TestCases(Cases):
    cases = CASES


@pytest.mark.parametrize("number", [-1.0, 3.0])
def test_a_number_that_is_no_row_gives_nan(number):
    net = net_of('type: "BatchReindex"', {"x": (3, 2), "p": (1,)})
    out = jax.jit(net.forward)([], {"x": np.ones((3, 2), np.float32), "p": np.float32([number])})
    assert np.isnan(out.outputs["y0"]).all()


def test_numbers_from_a_data_layer_are_checked():
    net = net_of(EMBED % "", {"x": (2,)})
    assert net.label_bounds["x"][0].classes == 9


@pytest.mark.parametrize("selector", [[1, 0, 1, 0], [0, 0, 0, 0], [1, 2, -1, 0.5]], ids=str)
def test_filter_keeps_the_selected_rows(selector):
    net = net_of(FILTER, {"x": (4, 3), "z": (4,), "s": (4, 1)}, tops=2)
    x, z = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(4, dtype=np.float32)
    chosen = np.float32(selector)
    out = net.compile(net.forward)([], {"x": x, "z": z, "s": chosen[:, None]}).outputs
    assert_close(out["y0"], x[chosen != 0])
    assert_close(out["y1"], z[chosen != 0])


def test_filter_sends_the_gradient_to_the_selected_rows():
    net = net_of(FILTER, {"x": (4, 2), "s": (4,)})
    s = np.float32([0, 1, 0, 1])
    grad = jax.grad(lambda x: (3 * net.forward([], {"x": x, "s": s}).outputs["y0"]).sum())(np.ones((4, 2), np.float32))
    assert_close(grad, 3 * np.broadcast_to(s[:, None], (4, 2)))


def test_only_what_lies_behind_a_filter_is_compiled_again():
    net = net_of(FILTER, {"x": (4, 2), "s": (4,)})
    x = np.ones((4, 2), np.float32)
    for s in ([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]):
        assert net.forward([], {"x": x, "s": np.float32(s)}).outputs["y0"].shape == (1, 2)
    assert len(net._sizes) == 2


def test_a_net_with_a_filter_is_not_compiled_as_one():
    net = net_of(FILTER, {"x": (4, 2), "s": (4,)})
    with pytest.raises(LayerError, match=r'layer "layer" \(Filter\).*Net.compile'):
        jax.jit(net.forward)([], {"x": np.ones((4, 2), np.float32), "s": np.ones(4, np.float32)})


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "Embed" embed_param { num_output: 5 }', {"x": (2,)}, "input_dim"),
        ('type: "BatchReindex"', {"x": (3, 2), "p": (2, 2)}, r'bottom "p" of shape \[2, 2\]'),
        (FILTER, {"x": (4, 2), "s": (4, 2)}, "one value for each row"),
        (FILTER, {"x": (3, 2), "s": (4,)}, r'bottom "x" of shape \[3, 2\] must have 4 rows'),
        (FILTER, {"x": (4, 2), "z": (4,), "s": (4,)}, "1 tops; it makes one for each bottom"),
    ],
)
def test_refuses(layer, bottoms, message):
    check_refused(layer, bottoms, message)
