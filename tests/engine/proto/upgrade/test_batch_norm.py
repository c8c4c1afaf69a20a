from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.proto.upgrade import batch_norm


def upgraded(written):
    net = text.parse(f'layer {{ name: "bn" {written} }}', pb.NetParameter)
    return net.layer[0], batch_norm.upgrade(net)


def test_three_learning_parameters_are_kept_from_learning_and_said():
    layer, notices = upgraded('type: "BatchNorm" param { lr_mult: 1 } param { } param { decay_mult: 2 }')
    assert list(layer.param) == [pb.ParamSpec(lr_mult=0, decay_mult=0)] * 3
    assert "0 in layer bn" in notices[0]


def test_their_names_stay():
    layer, _ = upgraded('type: "BatchNorm" param { name: "m" } param { name: "v" } param { name: "s" }')
    assert [param.name for param in layer.param] == ["m", "v", "s"]


def test_three_that_do_not_learn_need_no_notice():
    _, notices = upgraded('type: "BatchNorm" param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }')
    assert notices == []


def test_other_numbers_of_parameters_and_other_types_stay_as_they_are():
    for written in ('type: "BatchNorm" param { lr_mult: 1 }', 'type: "Scale" param { } param { } param { }'):
        layer, notices = upgraded(written)
        assert layer == text.parse(f'name: "bn" {written}', pb.LayerParameter)
        assert notices == []
