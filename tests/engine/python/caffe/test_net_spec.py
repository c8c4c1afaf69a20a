"""caffe.net_spec: nets written as expressions come out as the layers that Caffe's own gives."""

import copy

import caffe
import numpy as np
import pytest
from caffe import layers as L
from caffe import net_spec
from caffe import params as P
from caffe.proto import caffe_pb2 as pb

from engine.errors import NetError
from engine.proto import text


def data(**fields):
    return L.DummyData(shape=[{"dim": [2, 3]}, {"dim": [2]}], ntop=2, **fields)


def small():
    n = caffe.NetSpec()
    n.data, n.label = data()
    n.ip = L.InnerProduct(
        n.data, num_output=4, weight_filler={"type": "xavier"}, param=[{"lr_mult": 1}, {"lr_mult": 2}]
    )
    n.relu = L.ReLU(n.ip, in_place=True)
    n.loss = L.SoftmaxWithLoss(n.relu, n.label, loss_weight=0.5)
    return n


def test_a_net_runs_as_it_was_written(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(str(small().to_proto()))
    net = caffe.Net(str(path), caffe.TRAIN)
    assert list(net._layer_names)[:4] == ["data", "ip", "relu", "loss"]
    assert net.blob_loss_weights["loss"] == 0.5


def test_layers_and_blobs_have_the_names_they_were_assigned_to():
    net = small().to_proto()
    assert [(x.name, x.type, [*x.bottom], [*x.top]) for x in net.layer] == [
        ("data", "DummyData", [], ["data", "label"]),
        ("ip", "InnerProduct", ["data"], ["ip"]),
        ("relu", "ReLU", ["ip"], ["ip"]),
        ("loss", "SoftmaxWithLoss", ["ip", "label"], ["loss"]),
    ]


def test_keywords_are_fields_of_the_types_own_message_or_of_the_layer():
    ip = small().to_proto().layer[1]
    assert text.format(ip) == text.format(
        pb.LayerParameter(
            name="ip",
            type="InnerProduct",
            bottom=["data"],
            top=["ip"],
            param=[pb.ParamSpec(lr_mult=1), pb.ParamSpec(lr_mult=2)],
            inner_product_param=pb.InnerProductParameter(num_output=4, weight_filler=pb.FillerParameter(type="xavier")),
        )
    )


def test_what_has_no_name_is_numbered_by_type():
    one, label = data()
    ip = L.InnerProduct(L.ReLU(L.ReLU(one), in_place=True), num_output=1)
    net = caffe.to_proto(L.EuclideanLoss(ip, label))
    assert [x.name for x in net.layer] == ["DummyData1", "ReLU1", "ReLU2", "InnerProduct1", "EuclideanLoss1"]
    assert [*net.layer[0].top] == ["DummyData1", "DummyData2"]
    assert [*net.layer[3].bottom] == ["ReLU1"]


def test_several_tops_share_the_layers_below():
    one, label = data()
    assert len(caffe.to_proto(L.ReLU(one), L.Silence(label, ntop=0)).layer) == 3
    assert len(L.ReLU(one).to_proto().layer) == 2


def test_a_layer_without_tops_is_named_as_assigned_or_numbered():
    n = caffe.NetSpec()
    n.data, n.label = data()
    n.quiet = L.Silence(n.data, ntop=0)
    assert n.to_proto().layer[1].name == "quiet"
    assert caffe.to_proto(L.Silence(n.label, ntop=0)).layer[1].name == "Silence1"


def test_names_that_python_has_not():
    n = caffe.NetSpec()
    n["data/1"] = L.Input(shape={"dim": [1, 2]})
    assert n["data/1"] is getattr(n, "data/1")
    assert n.to_proto().layer[0].name == "data/1"
    assert "data/1" in n


def test_a_spec_is_asked_for_what_it_has_not_and_is_copied():
    n = small()
    assert not hasattr(n, "gone")
    with pytest.raises(AttributeError, match='no top "gone"; it has data, label'):
        n.gone  # noqa: B018
    assert [*copy.copy(n).tops] == [*n.tops]
    del n.loss
    assert len(n.to_proto().layer) == 3


@pytest.mark.parametrize("value", [P.Pooling.AVE, "AVE", np.int64(1)])
def test_constants_of_a_message(value):
    pool = L.Pooling(L.Input(), pool=value, kernel_size=np.int64(2)).fn.layer(["x"], ["y"], "pool")
    assert pool.pooling_param.pool == pb.PoolingParameter.AVE
    assert pool.pooling_param.kernel_size == 2


@pytest.mark.parametrize("dims", [[2, 3], (2, 3), np.array([2, 3])])
def test_repeated_fields_take_lists_tuples_and_arrays(dims):
    assert [*L.Input(shape={"dim": dims}).to_proto().layer[0].input_param.shape[0].dim] == [2, 3]


def test_a_repeated_field_takes_one_value_too():
    conv = L.Convolution(L.Input(), num_output=1, kernel_size=3, param={"lr_mult": 0}).fn.layer([], [], "c")
    assert [*conv.convolution_param.kernel_size] == [3]
    assert conv.param[0].lr_mult == 0


def test_a_deconvolution_has_the_fields_of_a_convolution():
    up = L.Deconvolution(L.Input(), num_output=1, kernel_size=4).fn.layer([], [], "up")
    assert [*up.convolution_param.kernel_size] == [4]


def test_an_empty_dict_sets_nothing_as_in_caffe():
    proto = pb.LayerParameter()
    net_spec.assign_proto(proto, "relu_param", {})
    assert not proto.HasField("relu_param")


def test_a_dict_is_no_number():
    with pytest.raises(TypeError, match=r"axis = {'a': 1}"):
        net_spec.assign_proto(pb.SliceParameter(), "axis", {"a": 1})


def test_types_are_found_by_their_message():
    names = net_spec.param_name_dict()
    assert names["Convolution"] == "convolution"
    assert names["Swish"] == "swish"


def test_deep_nets_are_no_recursion():
    top = L.Input()
    for _ in range(3000):
        top = L.ReLU(top)
    assert len(top.to_proto().layer) == 3001


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Silence(data()), TypeError, r"^Silence input 0 is not a Top \(type is <class 'tuple'>\)$"),
        (
            lambda: L.ReLU(L.Input(), num_outputs=1).to_proto(),
            AttributeError,
            'L.ReLU: ReLUParameter has no field "num',
        ),
        (lambda: L.Convolution(L.Input(), kernel_siz=1).to_proto(), NetError, 'Did you mean "kernel_size"'),
        (lambda: L.SoftmaxWithLoss(L.Input(), ignore_label=1).to_proto(), NetError, r"loss_param=dict\(ignore_label"),
        (lambda: L.InnerProduct(L.Input(), num_output="ten").to_proto(), TypeError, "num_output = 'ten'"),
        (lambda: L.InnerProduct(L.Input(), num_output=-1).to_proto(), ValueError, "num_output = -1"),
        (lambda: L.Input(shape={"dims": 1}).to_proto(), AttributeError, 'BlobShape has no field "dims"'),
        (lambda: L.ReLU(in_place=True), NetError, "there are 0 bottoms for 1 tops"),
        (lambda: P.Poolings.MAX, AttributeError, "no message PoolingsParameter"),
    ],
)
def test_what_no_net_can_be_made_of_is_told(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_only_tops_make_a_net():
    n = caffe.NetSpec()
    n.pair = data()
    with pytest.raises(TypeError, match=r"pair is not the top of a layer \(type is <class 'tuple'>\)"):
        n.to_proto()


def test_tops_are_listed_and_their_layers_changed_afterwards():
    """As SSD's scripts put their nets together."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 3]})
    n.fc = L.InnerProduct(n.data, num_output=2)
    assert (n.keys(), n.vals()) == (["data", "fc"], [n.data, n.fc])
    n.update("fc", {"param": [{"lr_mult": 0}], "num_output": 4})
    layer = n.to_proto().layer[1]
    assert (layer.inner_product_param.num_output, layer.param[0].lr_mult) == (4, 0)
    with pytest.raises(AttributeError, match='no top "fd"'):
        n.update("fd", {})


def test_a_float_that_is_whole_is_a_number_of_outputs():
    x = L.Input()
    layer = L.Convolution(x, num_output=16 / 2, pad=[3 / 3], kernel_size=3).to_proto().layer[1]
    assert (layer.convolution_param.num_output, list(layer.convolution_param.pad)) == (8, [1])
    with pytest.raises(TypeError, match=r"num_output = 2\.5"):
        L.Convolution(x, num_output=5 / 2).to_proto()
