import pytest

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.proto.upgrade import inputs


def upgraded(written):
    net = text.parse(written, pb.NetParameter)
    return net, inputs.upgrade(net)


@pytest.mark.parametrize(
    "written",
    [
        'input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8]',
        'input: "a" input: "b" input_shape { dim: [1, 2, 3, 4] } input_shape { dim: [5, 6, 7, 8] }',
        'input: "a" input: "b" input_shape { dim: [1, 2, 3, 4] } input_shape { dim: [5, 6, 7, 8] } input_dim: 9',
    ],
)
def test_inputs_become_the_first_layer(written):
    net, notices = upgraded(written + ' layer { name: "r" }')
    assert net == text.parse(
        'layer { name: "input" type: "Input" top: "a" top: "b" '
        "input_param { shape { dim: [1, 2, 3, 4] } shape { dim: [5, 6, 7, 8] } } } "
        'layer { name: "r" }',
        pb.NetParameter,
    )
    assert notices == []


def test_inputs_without_shapes_are_dropped_and_said():
    net, notices = upgraded('input: "a" layer { name: "r" }')
    assert net == text.parse('layer { name: "r" }', pb.NetParameter)
    assert notices == ["input a: no input_shape or input_dim is given; ignored"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('input: "a" input: "b" input_dim: [1, 2, 3, 4]', 'input "b" has no shape: there are 2 inputs'),
        ('input: "a" input: "b" input_shape { dim: 1 }', 'input "b" has no shape: there are 2 inputs'),
        ('input: "a" input_dim: [1, 2, 3]', "input_dim is given 3 times"),
    ],
)
def test_too_few_numbers_are_refused(written, said):
    with pytest.raises(PrototxtError, match=said):
        upgraded(written)
