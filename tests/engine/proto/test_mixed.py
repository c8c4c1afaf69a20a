"""Blocks of the new form with contents of the old one, which Caffe refuses, mean what their writers meant."""

import logging

import pytest

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import text

SLIDE = """layer: {
  name: 'ip1'
  type: INNER_PRODUCT
  inner_product_param: { num_output: 10 }
  param: 'sharedweights'
  bottom: 'data' top: 'ip1'
}
"""


def layer(written):
    (found,) = text.parse(f"layer {{ {written} }}", pb.NetParameter).layer
    return found


def test_a_slides_layer_is_todays_layer():
    assert text.parse(SLIDE, pb.NetParameter).layer[0] == pb.LayerParameter(
        name="ip1",
        type="InnerProduct",
        bottom=["data"],
        top=["ip1"],
        param=[pb.ParamSpec(name="sharedweights")],
        inner_product_param=pb.InnerProductParameter(num_output=10),
    )


@pytest.mark.parametrize(
    ("written", "params"),
    [
        ("param: 'w' param: 'b'", [pb.ParamSpec(name="w"), pb.ParamSpec(name="b")]),
        ("param: ['w', 'b']", [pb.ParamSpec(name="w"), pb.ParamSpec(name="b")]),
        ("blobs_lr: 1 blobs_lr: 2", [pb.ParamSpec(lr_mult=1), pb.ParamSpec(lr_mult=2)]),
        (
            "blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0",
            [pb.ParamSpec(lr_mult=1, decay_mult=1), pb.ParamSpec(lr_mult=2, decay_mult=0)],
        ),
        ("blobs_lr: 0 param: 'w'", [pb.ParamSpec(name="w", lr_mult=0)]),
        ("blobs_lr: 3 param: 'w' param: 'b'", [pb.ParamSpec(name="w", lr_mult=3), pb.ParamSpec(name="b")]),
        (
            "param: 'w' blob_share_mode: PERMISSIVE",
            [pb.ParamSpec(name="w", share_mode=pb.ParamSpec.PERMISSIVE)],
        ),
    ],
)
def test_lists_of_a_property_become_params(written, params):
    assert list(layer(written).param) == params


def test_a_type_in_capitals_goes_with_params_of_today():
    found = layer("type: SOFTMAX_LOSS param { lr_mult: 2 }")
    assert (found.type, list(found.param)) == ("SoftmaxWithLoss", [pb.ParamSpec(lr_mult=2)])


def test_the_order_of_layers_is_kept():
    net = text.parse('layer { name: "a" type: "ReLU" }' + SLIDE + 'layer { name: "c" type: "TanH" }', pb.NetParameter)
    assert [each.name for each in net.layer] == ["a", "ip1", "c"]


def test_a_notice_shows_todays_form_with_its_line(caplog):
    with caplog.at_level(logging.WARNING):
        text.parse("\n" + SLIDE, pb.NetParameter, "slide.prototxt")
    assert "slide.prototxt:2: " in caplog.text
    assert "write type: \"InnerProduct\" param { name: 'sharedweights' }" in caplog.text


def test_lines_in_errors_are_those_of_the_file():
    written = "layer {\n  type:\n  RELU\n  blobs_lr:\n    1\n  foo: 1\n}"
    with pytest.raises(PrototxtError, match=r'^net:6: "foo" is not a field of layer'):
        text.parse(written, pb.NetParameter, "net")


def test_params_of_both_forms_in_one_layer_are_refused():
    with pytest.raises(PrototxtError, match=r'"blobs_lr" is not a field of layer. It is one of "layers"'):
        layer("blobs_lr: 1 param { lr_mult: 2 }")


def test_an_unknown_type_without_quotation_marks_is_refused():
    with pytest.raises(PrototxtError, match='"type" is text and needs quotation marks: type: "Convolution"'):
        layer("type: Convolution")
