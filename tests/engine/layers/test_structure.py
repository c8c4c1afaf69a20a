"""Input, Parameter, Split, Gather, Silence."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused, net_of

from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

X = {"x": (2, 3)}

CASES = [
    Case("parameter", 'type: "Parameter" parameter_param { shape { dim: 2 dim: 3 } }', {}, lambda w: w),
    Case("split", 'type: "Split"', X, lambda x: (x, x, x), tops=3),
    Case("gather", 'type: "Gather"', {**X, "z": (4,)}, lambda x, z: (x, z), tops=2),
    Case("silence", 'type: "Silence"', {**X, "z": (4,)}, lambda x, z: (), tops=0),
]


class TestCases(Cases):
    cases = CASES


def test_silence_hides_outputs():
    assert net_of('type: "Silence"', X, tops=0).output_names == []


@pytest.mark.parametrize(
    ("shapes", "want"),
    [("shape { dim: 2 dim: 3 }", [(2, 3), (2, 3)]), ("shape { dim: 2 } shape { }", [(2,), ()])],
)
def test_input_takes_one_shape_for_all_or_one_a_top(shapes, want):
    source = f'layer {{ name: "in" type: "Input" top: "a" top: "b" input_param {{ {shapes} }} }}'
    net = Net.from_param(text.parse(source, pb.NetParameter))
    assert list(net.blob_shapes.values()) == want
    assert net.input_names == ["a", "b"]


REFUSED = [
    ('type: "Input" input_param { shape { } shape { } shape { } }', {}, "3 shapes for 2 tops"),
    ('type: "Input" input_param { shape { dim: 2 dim: -1 } }', {}, r"\[2, -1\]"),
    ('type: "Split"', {"a": (1,), "b": (1,)}, "2 bottoms and takes 1"),
    ('type: "Silence"', X, "2 tops and takes 0"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message, tops=2)


def test_a_parameter_of_a_negative_dim_is_refused():
    check_refused('type: "Parameter" parameter_param { shape { dim: -2 } }', {}, "negative")


def test_readers_of_a_blob_add_up_their_gradients():
    net = net_of('type: "Eltwise" bottom: "x"', X)  # the harness names x, so x is read twice
    gradient = jax.grad(lambda x: net.forward([], {"x": x}).outputs["y0"].sum())(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(gradient, 2)


def test_a_parameter_is_filled():
    filler = 'blob_filler { type: "constant" value: 2 }'
    net = net_of(f'type: "Parameter" parameter_param {{ shape {{ dim: 2 }} {filler} }}', {})
    assert np.array_equal(net.init(seed=0)[0], [2, 2])
