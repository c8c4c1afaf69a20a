import pytest

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.proto.upgrade import v1


def test_every_type_of_the_enum_has_a_name_of_today():
    assert set(v1.TYPES) == set(pb.V1LayerParameter.LayerType.keys())


def test_every_block_of_a_v1_layer_has_one_of_the_same_type_today():
    today = pb.LayerParameter.DESCRIPTOR.fields_by_name
    for field in pb.V1LayerParameter.DESCRIPTOR.fields:
        if field.message_type and field.name != "layer":
            assert today[field.name].message_type == field.message_type


def upgraded(written):
    net = text.parse(f'layers {{ name: "a" {written} }}', pb.NetParameter)
    v1.upgrade(net)
    assert not net.layers
    return net.layer[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("type: NONE", 'type: ""'),
        ('param: "w" param: "b"', 'param { name: "w" } param { name: "b" }'),
        ('param: "w" blob_share_mode: PERMISSIVE', 'param { name: "w" share_mode: PERMISSIVE }'),
        ("blobs_lr: 1 blobs_lr: 2 weight_decay: 0.5", "param { lr_mult: 1 decay_mult: 0.5 } param { lr_mult: 2 }"),
        ("loss_weight: 0.5 loss_weight: 0", "loss_weight: 0.5 loss_weight: 0"),
        ("include { phase: TEST } exclude { min_level: 1 }", "include { phase: TEST } exclude { min_level: 1 }"),
        ("blobs { data: 1 data: 2 }", "blobs { data: 1 data: 2 }"),
        ("transform_param { scale: 2 } loss_param { }", "transform_param { scale: 2 } loss_param { }"),
        ('bottom: "x" top: "y" top: "z"', 'bottom: "x" top: "y" top: "z"'),
    ],
)
def test_each_field_goes_to_its_place(old, new):
    assert upgraded(old) == text.parse('name: "a" ' + new, pb.LayerParameter)


def test_layers_of_both_forms_in_one_net_are_refused():
    net = text.parse('layers { name: "old" type: RELU } layer { name: "new" type: "ReLU" }', pb.NetParameter)
    with pytest.raises(PrototxtError, match=r'"old".*"new".*Write all of them in one form'):
        v1.upgrade(net)
