"""Parameters: their multipliers, and how layers share them."""

import jax
import numpy as np
import pytest
from support.small_nets import INPUT, LABELS, X, ip, loss, made

from engine.errors import LayerError

SHARED = 'param { name: "w" } param { name: "b" }'


def test_a_shared_parameter_stands_once_and_its_gradients_add_up():
    net = made(INPUT + LABELS + ip("a", "x", "a", 3, SHARED) + ip("b", "a", "b", 3, SHARED) + loss("b"))
    assert (len(net.params), net.param_ids) == (2, [[], [], [0, 1], [0, 1], []])
    alone = made(INPUT + LABELS + ip("a", "x", "a", 3) + ip("b", "a", "b", 3) + loss("b"))
    inputs = {"x": X, "t": np.float32([0, 2])}
    params = net.init(0)
    apart = jax.grad(lambda p: alone.forward(p, inputs).loss)([*params, *params])
    together = jax.grad(lambda p: net.forward(p, inputs).loss)(params)
    np.testing.assert_allclose(together[0], apart[0] + apart[2], rtol=1e-4, atol=1e-6)


BLOBS = "blobs { shape { dim: 2 dim: 3 } data: [1, 2, 3, 4, 5, 6] } blobs { num: 1 channels: 1 height: 1 width: 2 %s }"


def test_a_layer_begins_with_the_blobs_that_the_net_s_definition_has():
    net = made(INPUT + ip("a", "x", "a", 2, BLOBS % "data: [7, 8]") + ip("b", "a", "b", 2))
    values = net.init(0)
    np.testing.assert_array_equal(values[0], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(values[1], [7, 8])
    assert values[2].any()


@pytest.mark.parametrize(
    ("blobs", "said"),
    [
        (BLOBS % "data: 7", r'"a".*: a blob of shape \(1, 1, 1, 2\) holds 1 values'),
        ("blobs { shape { dim: 6 } data: [1, 2, 3, 4, 5, 6] }", "Incompatible number of blobs for layer 'a': it has 1"),
        (
            BLOBS.replace("dim: 2 dim: 3", "dim: 6") % "data: [7, 8]",
            r"shape is 6 \(6\); target param shape is 2 3 \(6\)",
        ),
    ],
)
def test_blobs_that_are_not_the_layer_s_are_refused(blobs, said):
    with pytest.raises(LayerError, match=said):
        made(INPUT + ip("a", "x", "a", 2, blobs))


def test_sharing_needs_equal_shapes():
    with pytest.raises(LayerError, match=r'"b".*weight of shape \[2, 4\] shares "w" with layer "a".*\[4, 3\]'):
        made(INPUT + ip("a", "x", "a", 4, 'param { name: "w" }') + ip("b", "a", "b", 2, 'param { name: "w" }'))


def test_permissive_sharing_needs_equal_counts():
    first, second = (f'param {{ name: "w" share_mode: {mode} }}' for mode in ("STRICT", "PERMISSIVE"))
    net = made(INPUT + ip("a", "x", "a", 4, first) + ip("b", "a", "b", 3, second))
    assert net.param_ids[2] == [0, 2]
    assert net.forward(net.init(0), {"x": X}).outputs["b"].shape == (2, 3)
    with pytest.raises(LayerError, match="even with share_mode: PERMISSIVE the counts must be equal"):
        made(INPUT + ip("a", "x", "a", 4, first) + ip("b", "a", "b", 2, second))


def test_multipliers_are_those_of_param():
    net = made(INPUT + ip("a", "x", "a", 4, "param { lr_mult: 0 } param { lr_mult: 2 decay_mult: 0 }"))
    assert [(p.lr_mult, p.decay_mult, p.learned) for p in net.params] == [(0, 1, False), (2, 0, True)]
