"""DummyData."""

import numpy as np
import pytest
from support.layer_cases import check_refused

from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

UNIFORM = 'data_filler { type: "uniform" min: 1 max: 2 }'
OF = 'type: "DummyData" dummy_data_param {{ {} }}'.format


def net_of(param, tops):
    names = " ".join(f'top: "{top}"' for top in tops)
    return Net.from_param(text.parse(f'layer {{ name: "data" {names} {OF(param)} }}', pb.NetParameter))


@pytest.mark.parametrize(
    ("param", "shapes"),
    [
        ("shape { dim: 2 dim: 3 }", [(2, 3), (2, 3)]),
        ("shape { dim: 2 } shape { dim: 4 dim: 5 }", [(2,), (4, 5)]),
        ("num: 2 channels: 3 height: 4 width: 5", [(2, 3, 4, 5)] * 2),
        ("num: 2 num: 6 channels: 3 height: 4 height: 1 width: 5", [(2, 3, 4, 5), (6, 3, 1, 5)]),
    ],
)
def test_shapes(param, shapes):
    net = net_of(param, "ab")
    assert [net.blob_shapes[top] for top in "ab"] == shapes
    assert [v.shape for v in net.sources[0].open(seed=0).next().values()] == shapes


def test_zero_without_a_filler():
    np.testing.assert_array_equal(net_of("shape { dim: 3 }", "a").sources[0].open(seed=0).next()["a"], [0, 0, 0])


def test_one_filler_a_top():
    batch = net_of(f"shape {{ dim: 50 }} data_filler {{ value: 7 }} {UNIFORM}", "ab").sources[0].open(seed=0).next()
    assert (batch["a"] == 7).all()
    assert ((batch["b"] >= 1) & (batch["b"] < 2)).all()


def test_random_tops_are_filled_anew_and_differ():
    source = net_of(f"shape {{ dim: 9 }} {UNIFORM}", "ab").sources[0].open(seed=0)
    first, second = source.next(), source.next()
    values = [*first.values(), *second.values()]
    assert not any((v == w).all() for i, v in enumerate(values) for w in values[:i])


def test_constant_tops_are_filled_once():
    source = net_of("shape { dim: 9 } data_filler { value: 3 }", "a").sources[0].open(seed=0)
    assert source.next()["a"] is source.next()["a"]


def test_same_seed_same_batches():
    layer = net_of(f"shape {{ dim: 9 }} {UNIFORM}", "a").sources[0]
    np.testing.assert_array_equal(layer.open(seed=1).next()["a"], layer.open(seed=1).next()["a"])
    assert (layer.open(seed=1).next()["a"] != layer.open(seed=2).next()["a"]).any()


def test_a_restored_source_goes_on():
    layer = net_of(f"shape {{ dim: 9 }} {UNIFORM}", "a").sources[0]
    source, other = layer.open(seed=1), layer.open(seed=1)
    source.next()
    other.restore(source.state())
    np.testing.assert_array_equal(other.next()["a"], source.next()["a"])


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("", "0 shape for 2 tops"),
        ("shape { } shape { } shape { }", "3 shape for 2 tops"),
        (f"shape {{ dim: 1 }} {UNIFORM} {UNIFORM} {UNIFORM}", "3 data_filler for 2 tops"),
        ("shape { dim: 1 } num: 1", "shape and num, channels, height, width"),
        ("num: 1 channels: 1 height: 1", "0 width for 2 tops"),
        ('shape { dim: 1 } data_filler { type: "none" }', 'unknown filler type "none"'),
    ],
)
def test_wrong_configuration_is_refused(param, message):
    check_refused(OF(param), {}, message, tops=2)
