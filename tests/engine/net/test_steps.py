"""Layers that are computed as one: which, and that they compute what they do one by one."""

import jax
import numpy as np
import pytest
from support.small_nets import made

from engine.net import steps
from engine.ops import onednn_proof

X = np.random.default_rng(0).normal(2, 3, (4, 3, 2, 5)).astype(np.float32)
INPUT = """
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 2 dim: 5 } } }
"""
NORMALIZED = (
    'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" batch_norm_param { moving_average_fraction: 0.9 } }'
)
SCALED = """
layer { name: "scale" type: "Scale" bottom: "y" top: "y"
        scale_param { bias_term: true filler { type: "uniform" min: -1 } bias_filler { type: "uniform" min: -1 } } }
"""
RECTIFIED = 'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }'
READ = 'layer { name: "sum" type: "Power" bottom: "y" top: "sum" power_param { power: 2 } loss_weight: 1 }'


def spans(net):
    found = steps.joined(net.layers, net.graph.nodes, net.tops, net.precision)
    return [(step.first, step.last) for step in found]


@pytest.mark.parametrize(
    ("prototxt", "expected"),
    [
        (NORMALIZED + SCALED + RECTIFIED, [(1, 3)]),
        (NORMALIZED + SCALED, [(1, 2)]),
        (NORMALIZED + RECTIFIED + SCALED, [(1, 2), (3, 3)]),
        (NORMALIZED + SCALED + SCALED.replace('"scale"', '"again"'), [(1, 2), (3, 3)]),
        (NORMALIZED + RECTIFIED[:-1] + "relu_param { negative_slope: 0.1 } }", [(1, 1), (2, 2)]),
        (NORMALIZED[:-2] + "loss_weight: 1 }" + SCALED.replace('top: "y"', 'top: "z"'), [(1, 1), (2, 2), (3, 3)]),
        (NORMALIZED + SCALED + RECTIFIED[:-1] + "propagate_down: false }", [(1, 2), (3, 3)]),
        (NORMALIZED.replace("0.9", "0.9 use_global_stats: true") + SCALED, [(1, 1), (2, 2)]),
        (NORMALIZED + SCALED.replace("bias_term", "axis: 2 num_axes: 1 bias_term"), [(1, 1), (2, 2)]),
    ],
)
def test_a_layer_is_joined_that_alone_reads_the_one_before(prototxt, expected):
    assert spans(made(INPUT + prototxt + READ))[1 : 1 + len(expected)] == expected


def test_nothing_is_joined_whose_blob_another_layer_reads():
    another = 'layer { name: "other" type: "Power" bottom: "y" top: "z" }'
    assert all(a == b for a, b in spans(made(INPUT + NORMALIZED + another + RECTIFIED.replace('top: "y"', 'top: "w"'))))


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("behind", ["", SCALED, RECTIFIED, SCALED + RECTIFIED], ids=["", "s", "r", "sr"])
def test_joined_they_give_the_same_values_gradients_and_state(behind, last, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onednn_proof, "passed", lambda: last)
    net = made(INPUT + NORMALIZED + behind + READ)
    params = [np.asarray(p) for p in net.init(1)]

    @jax.jit
    def passed():
        def loss(params, x, keep):
            done = net.forward(params, {"x": x}, keep=keep)
            return done.loss, (done.outputs, done.updates)

        return [jax.value_and_grad(loss, (0, 1), has_aux=True)(params, X, keep) for keep in (False, True)]

    joined, one_by_one = passed()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), joined, one_by_one)
