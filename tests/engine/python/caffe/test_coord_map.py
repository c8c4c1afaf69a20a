"""caffe.coord_map: maps of coordinates between tops, and the Crop that aligns them."""

import caffe
import numpy as np
import pytest
from caffe import coord_map
from caffe import layers as L
from caffe.coord_map import coord_map_from_to, crop

from engine.errors import NetError


def net(kernel=3, stride=1, pad=0, pool=2, up=2, up_pad=0):
    """Convolution, pooling, and a Deconvolution back to about the input's size."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 1, 40, 40]})
    n.conv = L.Convolution(n.data, num_output=2, kernel_size=kernel, stride=stride, pad=pad)
    n.pool = L.Pooling(n.conv, kernel_size=pool, stride=pool)
    n.up = L.Deconvolution(n.pool, num_output=2, kernel_size=2 * up, stride=up, pad=up_pad)
    return n


@pytest.mark.parametrize(
    ("n", "shift"),
    [(net(), 0), (net(pool=4, up=4), -1), (net(pad=3), -3), (net(up_pad=3), 3), (net(pad=3, up_pad=3), 0)],
)
def test_down_and_up_again(n, shift):
    assert coord_map_from_to(n.up, n.data) == (1, 1, shift)


def test_axes_have_maps_of_their_own():
    n = net(kernel=[3, 5], stride=[1, 2], pad=[0, 10])
    axis, scale, shift = coord_map_from_to(n.up, n.data)
    assert axis == 1
    for i, same in enumerate((net(), net(kernel=5, stride=2, pad=10))):
        _, one, by = coord_map_from_to(same.up, same.data)
        assert (scale[i], shift[i]) == (one, by)


def test_layers_that_move_nothing_change_nothing():
    n = net()
    n.relu = L.ReLU(L.BatchNorm(n.up))
    assert coord_map_from_to(n.relu, n.data) == coord_map_from_to(n.up, n.data)


def test_a_convolution_with_holes_and_fields_in_its_message():
    data = L.Input()
    conv = L.Convolution(data, convolution_param={"kernel_size": 3, "dilation": 2, "pad": 2})
    assert coord_map_from_to(conv, data) == (1, 1, 0)


def test_a_crop_is_walked_to_what_it_crops():
    n = net()
    n.crop = L.Crop(n.up, n.data, axis=2, offset=5)
    assert coord_map_from_to(n.crop, n.data) == (1, 1, 5)


def test_many_ways_to_a_blob_are_walked_once():
    top = data = L.Input()
    for _ in range(60):  # 2⁶⁰ ways
        top = L.Eltwise(top, L.ReLU(top))
    assert coord_map_from_to(top, data) == (None, 1, 0)


def test_crop_gives_axis_and_offset(tmp_path):
    n = net(pad=4)
    n.score = crop(n.up, n.data)
    layer = n.to_proto().layer[-1]
    assert (layer.type, layer.crop_param.axis, [*layer.crop_param.offset]) == ("Crop", 2, [4])
    path = tmp_path / "net.prototxt"
    path.write_text(str(n.to_proto()))
    assert caffe.Net(str(path), caffe.TEST).blobs["score"].shape == (1, 2, 40, 40)


def test_crop_of_tops_with_nothing_between():
    data = L.Input()
    assert [*crop(L.ReLU(data), data).to_proto().layer[-1].crop_param.offset] == [0]


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (net(pool=3, up=2), "scale mismatch"),
        (net(up_pad=9), "negative offset"),
        (net(kernel=2), "noninteger offset"),
    ],
)
def test_crop_refuses_what_does_not_align(n, message):
    with pytest.raises(AssertionError, match=message):
        crop(n.up, n.data)


def test_tops_that_only_an_inner_product_connects_have_no_map():
    n = net()
    with pytest.raises(RuntimeError, match="found no blob"):
        coord_map_from_to(L.InnerProduct(n.up, num_output=1), n.data)


def test_legacy_fields_are_refused():
    data = L.Input()
    with pytest.raises(AssertionError, match="kernel_h, kernel_w"):
        coord_map.coord_map(L.Convolution(data, kernel_h=3, kernel_w=5).fn)


def test_maps_of_other_axes_do_not_compose():
    with pytest.raises(coord_map.AxisMismatchException):
        coord_map.compose((1, 1, 0), (2, 1, 0))


def test_a_map_and_its_inverse_are_the_identity():
    there = (1, np.array([2.0, 4]), np.array([1.0, -3]))
    _, scale, shift = coord_map.compose(coord_map.inverse(there), there)
    np.testing.assert_array_equal((scale, shift), ([1, 1], [0, 0]))


def test_an_inner_product_has_no_map():
    with pytest.raises(NetError, match="InnerProduct has no coordinate map"):
        coord_map.coord_map(L.InnerProduct(L.Input(), num_output=1).fn)
