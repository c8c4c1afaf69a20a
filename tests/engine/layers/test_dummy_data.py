"""DummyData: shapes and fillers, one for all tops or one a top."""

import numpy as np
import pytest
from support.layer_cases import check_refused
from support.small_nets import made

from engine.net.net import Net

UNIFORM = 'data_filler { type: "uniform" min: 1 max: 2 }'
DUMMY = 'type: "DummyData" dummy_data_param {{ {} }}'.format


def dummy_net(param: str, tops: str) -> Net:
    names = " ".join(f'top: "{top}"' for top in tops)
    return made(f'layer {{ name: "data" {names} {DUMMY(param)} }}')


@pytest.mark.parametrize(
    ("param", "shapes"),
    [
        ("shape { dim: 2 dim: 3 }", [(2, 3), (2, 3)]),
        ("shape { dim: 2 } shape { dim: 4 dim: 5 }", [(2,), (4, 5)]),
        ("num: 2 channels: 3 height: 4 width: 5", [(2, 3, 4, 5)] * 2),
        ("num: 2 num: 6 channels: 3 height: 4 height: 1 width: 5", [(2, 3, 4, 5), (6, 3, 1, 5)]),
    ],
)
def test_dummy_data_has_one_shape_for_all_or_one_a_top(param, shapes):
    net = dummy_net(param, "ab")
    assert [net.blob_shapes[top] for top in "ab"] == shapes
    assert [v.shape for v in net.sources[0].open(seed=0).next().values()] == shapes


def test_dummy_data_is_zero_without_a_filler():
    np.testing.assert_array_equal(dummy_net("shape { dim: 3 }", "a").sources[0].open(seed=0).next()["a"], [0, 0, 0])


def test_dummy_data_takes_one_filler_a_top():
    batch = dummy_net(f"shape {{ dim: 50 }} data_filler {{ value: 7 }} {UNIFORM}", "ab").sources[0].open(seed=0).next()
    assert (batch["a"] == 7).all()
    assert ((batch["b"] >= 1) & (batch["b"] < 2)).all()


def test_random_dummy_data_is_filled_anew_and_differs():
    source = dummy_net(f"shape {{ dim: 9 }} {UNIFORM}", "ab").sources[0].open(seed=0)
    first, second = source.next(), source.next()
    values = [*first.values(), *second.values()]
    assert not any((v == w).all() for i, v in enumerate(values) for w in values[:i])


def test_constant_dummy_data_is_filled_once():
    source = dummy_net("shape { dim: 9 } data_filler { value: 3 }", "a").sources[0].open(seed=0)
    assert source.next()["a"] is source.next()["a"]


def test_dummy_data_of_the_same_seed_is_the_same():
    layer = dummy_net(f"shape {{ dim: 9 }} {UNIFORM}", "a").sources[0]
    np.testing.assert_array_equal(layer.open(seed=1).next()["a"], layer.open(seed=1).next()["a"])
    assert (layer.open(seed=1).next()["a"] != layer.open(seed=2).next()["a"]).any()


def test_restored_dummy_data_goes_on():
    layer = dummy_net(f"shape {{ dim: 9 }} {UNIFORM}", "a").sources[0]
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
def test_wrong_dummy_data_is_refused(param, message):
    check_refused(DUMMY(param), {}, message, tops=2)
