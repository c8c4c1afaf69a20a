"""OuterProduct, of both forks."""

import jax
import numpy as np
from support.layer_cases import Case, Cases, assert_close, check_refused

from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

BOTTOMS = {"a": (3, 4), "b": (3, 2)}
LAYER = 'type: "OuterProduct"'


def products(a, b):
    return np.stack([np.outer(*items) for items in zip(a.reshape(len(a), -1), b, strict=True)])[:, None]


class TestCases(Cases):
    cases = (
        Case("matrices", LAYER, BOTTOMS, products),
        Case("of a convolution", LAYER, {"a": (3, 4, 1, 1), "b": (3, 2)}, products),
    )


def gradients(beside):
    net = Net.from_param(
        text.parse(
            f"""force_backward: true
            layer {{ name: "a" type: "Input" top: "a" top: "b" input_param {{ shape {{ dim: 3 dim: 4 }} }} }}
            layer {{ name: "o" {LAYER} bottom: "a" bottom: "b" top: "o" }} {beside}""",
            pb.NetParameter,
        ),
        pb.TRAIN,
    )
    rng = np.random.default_rng(0)
    given = {name: np.float32(rng.standard_normal((3, 4))) for name in "ab"}

    assert net.blob_shapes["o"] == ((3, 1, 4, 4) if "MMDLoss" in beside else (3, 4, 4, 1))

    def total(bottoms):
        return net.forward(net.init(0), bottoms, jax.random.key(0), keep=True).values[net.tops[-1][0]].sum()

    return given, jax.grad(total)(given)


def test_beside_a_gradient_scaler_only_the_second_bottom_learns():
    given, found = gradients('layer { name: "g" type: "GradientScaler" bottom: "o" top: "o" }')
    assert not np.any(found["a"])
    assert_close(found["b"], -np.broadcast_to(given["a"].sum(1, keepdims=True), (3, 4)))


def test_beside_a_discrepancy_loss_both_learn():
    turned = 'layer { name: "g" type: "GradientScaler" bottom: "a" top: "g" }'
    found = gradients(turned + 'layer { name: "m" type: "MMDLoss" bottom: "g" bottom: "b" top: "m" }')[1]
    assert np.all(np.abs(found["a"]).sum(1))


def test_wrong_bottoms_are_refused():
    check_refused(LAYER, {"a": (3, 4, 2), "b": (3, 2)}, r'"a" has shape \[3, 4, 2\]; it takes items')
    check_refused(LAYER, {"a": (3, 4), "b": (2, 2)}, '"a" has 3 items and bottom "b" 2; give equally many')
