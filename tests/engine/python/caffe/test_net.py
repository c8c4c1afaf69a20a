"""caffe.Net: blobs that are numpy arrays, passes over ranges, shared and copied parameters, and its errors."""

import caffe
import h5py
import numpy as np
import pytest

from engine.errors import LayerError, NetError, SnapshotError

IP = 'inner_product_param { num_output: %d weight_filler { type: "xavier" } bias_filler { value: 1 } }'
NET = f"""
name: "small" force_backward: true
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 }} }} }}
layer {{ name: "t" type: "Input" top: "t" input_param {{ shape {{ dim: 2 }} }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "x" top: "h" {IP % 4} }}
layer {{ name: "relu" type: "ReLU" bottom: "h" top: "h" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "h" top: "y" {IP % 3} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" loss_weight: 2 }}
"""
X = np.float32([[1, -2, 3], [0.5, 4, -1]])


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text(NET)
    return file


@pytest.fixture
def net(path):
    caffe.set_random_seed(1)
    return caffe.Net(str(path), caffe.TRAIN)


def opened(tmp_path, text, phase=caffe.TEST, **options):
    file = tmp_path / "other.prototxt"
    file.write_text(text)
    return caffe.Net(str(file), phase, **options)


def test_names(net):
    assert list(net.blobs) == ["x", "t", "h", "y", "loss"]
    assert (net.inputs, net.outputs) == (["x", "t"], ["loss"])
    assert net._layer_names == ["x", "t", "ip1", "relu", "ip2", "loss"]
    assert [layer.type for layer in net.layers] == [
        "Input", "Input", "InnerProduct", "ReLU", "InnerProduct", "SoftmaxWithLoss",
    ]  # fmt: skip
    assert net.layer_dict["ip1"].blobs[0] is net.params["ip1"][0]
    assert (net.bottom_names["loss"], net.top_names["loss"]) == (["y", "t"], ["loss"])
    assert net.blob_loss_weights["loss"] == 2
    assert [list(b.shape) for b in net.params["ip1"]] == [[4, 3], [4]]


def test_blobs_are_float32_and_contiguous(net):
    blob = net.blobs["h"]
    assert (blob.data.dtype, blob.data.flags.c_contiguous, blob.data.shape) == (np.float32, True, (2, 4))
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (2, 4, 1, 1, 8)
    assert net.blobs["loss"].data.shape == ()


def test_forward_computes_with_what_was_written(net):
    net.blobs["x"].data[...] = X
    w, b = (p.data for p in net.params["ip1"])
    w[...] = 2
    net.forward()
    np.testing.assert_allclose(net.blobs["h"].data, np.maximum(X @ w.T + b, 0), rtol=1e-5)
    w[...] = -2
    np.testing.assert_allclose(net.forward(end="relu")["h"], np.maximum(X @ w.T + b, 0), rtol=1e-5)


def test_an_array_that_is_held_stays_true(net):
    x, y, part = net.blobs["x"].data, net.blobs["y"].data, net.blobs["y"].data[0]
    x[...] = X
    net.forward()
    before = y.copy()
    x[...] = -X
    net.forward()
    assert not np.allclose(y, before)
    assert np.shares_memory(y, part)
    assert y is not net.blobs["y"].data or y.base is net.blobs["y"].data.base
    np.testing.assert_array_equal(y, net.blobs["y"].data)


def test_forward_from_a_layer_takes_the_blobs_as_they_are(net):
    net.forward()
    net.blobs["h"].data[...] = 5
    w, b = (p.data for p in net.params["ip2"])
    np.testing.assert_allclose(net.forward(start="ip2", end="ip2")["y"], np.full((2, 4), 5) @ w.T + b, rtol=1e-5)


def test_forward_returns_outputs_and_what_is_asked_for(net):
    assert set(net.forward(["h"], x=X, t=[0, 2])) == {"loss", "h"}
    assert set(net.forward(end="ip1")) == {"h"}


def test_backward_is_the_derivative(net):
    net.forward(x=X, t=[0, 2])
    net.clear_param_diffs()
    net.backward()
    w, step = net.params["ip1"][0], 1e-2
    rng = np.random.default_rng(0).standard_normal(w.shape).astype("f")
    slope = float((w.diff * rng).sum())
    here = w.data.copy()
    w.data[...] = here + step * rng
    up = 2 * float(net.forward()["loss"])
    w.data[...] = here - step * rng
    down = 2 * float(net.forward()["loss"])
    assert slope == pytest.approx((up - down) / (2 * step), rel=2e-2)


def test_diffs_of_parameters_add_up(net):
    net.forward(x=X, t=[0, 2])
    net.backward()
    once = net.params["ip1"][0].diff.copy()
    net.backward()
    np.testing.assert_allclose(net.params["ip1"][0].diff, 2 * once, rtol=1e-5)
    net.clear_param_diffs()
    assert not net.params["ip1"][0].diff.any()


def test_the_loss_starts_with_its_weight_which_can_be_changed(net):
    net.forward(x=X, t=[0, 2])
    net.backward()
    first = net.blobs["y"].diff.copy()
    assert net.blobs["loss"].diff == 2
    net.blobs["loss"].diff[...] = 1
    net.backward()
    np.testing.assert_allclose(net.blobs["y"].diff, first / 2, rtol=1e-5)


def test_backward_over_a_range_takes_the_diff_above_it(net):
    net.forward(x=X, t=[0, 2])
    net.blobs["h"].diff[...] = 1
    passed = net.blobs["h"].data > 0
    diffs = net.backward(start="relu", end="ip1")
    np.testing.assert_allclose(net.blobs["h"].diff, passed)
    np.testing.assert_allclose(diffs["x"], passed @ net.params["ip1"][0].data, rtol=1e-5)


def test_backward_skips_what_needs_none(tmp_path):
    net = opened(tmp_path, NET.replace("force_backward: true", ""), caffe.TRAIN)
    net.forward(x=X, t=[0, 2])
    net.backward()
    assert not net.blobs["x"].diff.any()
    assert net.blobs["h"].diff.any()


def test_dropout_goes_back_through_the_mask_of_its_pass(tmp_path):
    net = opened(
        tmp_path,
        'force_backward: true layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1000 } } }'
        'layer { name: "drop" type: "Dropout" bottom: "x" top: "y" }',
        caffe.TRAIN,
    )
    y = net.forward(x=np.ones(1000))["y"].copy()
    assert 0 < np.count_nonzero(y) < 1000
    np.testing.assert_array_equal(net.backward(y=np.ones(1000))["x"], y)
    assert not np.array_equal(net.forward()["y"], y)


def test_a_seed_repeats_parameters_and_masks(path):
    def filled():
        caffe.set_random_seed(7)
        return caffe.Net(str(path), caffe.TRAIN).params["ip1"][0].data

    np.testing.assert_array_equal(filled(), filled())


def test_shared_parameters_are_one_blob(tmp_path):
    shared = f"""
    layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 }} }} }}
    layer {{ name: "a" type: "InnerProduct" bottom: "x" top: "a" param {{ name: "w" }} {IP % 3} }}
    layer {{ name: "b" type: "InnerProduct" bottom: "a" top: "b" param {{ name: "w" }} {IP % 3} }}
    """
    net = opened(tmp_path, shared)
    net.params["a"][0].data[...] = 4
    assert (net.params["b"][0].data == 4).all()
    assert np.shares_memory(net.params["a"][0].data, net.params["b"][0].data)


def test_inputs_may_be_reshaped(net):
    net.blobs["x"].reshape(5, 3)
    net.blobs["t"].reshape(5)
    net.reshape()
    assert net.blobs["y"].data.shape == (5, 3)
    assert net.forward(x=np.ones((5, 3)), t=np.zeros(5))["loss"].shape == ()
    net.blobs["x"].reshape(5, 4)
    with pytest.raises(LayerError, match=r'"ip1" \(InnerProduct\).*weight of shape \[4, 4\].*\[4, 3\]'):
        net.forward()


@pytest.mark.parametrize("suffix", ["caffemodel", "caffemodel.h5"])
def test_models_are_written_and_read(net, path, tmp_path, suffix):
    model = str(tmp_path / f"small.{suffix}")
    (net.save_hdf5 if suffix.endswith("h5") else net.save)(model)
    for other in (caffe.Net(str(path), model, caffe.TEST), caffe.Net(str(path), caffe.TEST, weights=model)):
        assert other.phase == caffe.TEST
        np.testing.assert_array_equal(other.params["ip2"][0].data, net.params["ip2"][0].data)


def test_share_with_shows_changes_in_both(net, path):
    other = caffe.Net(str(path), caffe.TEST)
    other.share_with(net)
    net.params["ip1"][1].data[...] = 9
    assert (other.params["ip1"][1].data == 9).all()


def test_a_filter_has_its_true_size(tmp_path):
    net = opened(
        tmp_path,
        'force_backward: true layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 2 } } }'
        'layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 4 } } }'
        'layer { name: "f" type: "Filter" bottom: "x" bottom: "s" top: "y" }'
        'layer { name: "r" type: "Reduction" bottom: "y" top: "z" reduction_param { axis: 1 } }',
    )
    for chosen in ([1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]):
        assert net.forward(x=np.ones((4, 2)), s=chosen)["z"].tolist() == [2] * sum(chosen)
        net.blobs["z"].diff[...] = 3
        np.testing.assert_array_equal(net.backward()["x"][:, 0], 3 * np.array(chosen))


MEMORY = """layer { name: "m" type: "MemoryData" top: "data" top: "label"
                  memory_data_param { batch_size: 2 channels: 1 height: 1 width: 3 } }"""


def test_arrays_in_memory_are_handed_out_round_and_round(tmp_path):
    net = opened(tmp_path, MEMORY)
    data = np.arange(12, dtype=np.float32).reshape(4, 1, 1, 3)
    for arrays in (data, -data):
        net.set_input_arrays(arrays, np.arange(4, dtype=np.float32))
        seen = [net.forward()["data"].copy() for _ in range(3)]
        np.testing.assert_array_equal(seen, [arrays[:2], arrays[2:], arrays[:2]])


def test_set_input_arrays_needs_its_layer(net):
    with pytest.raises(NetError, match="no MemoryData"):
        net.set_input_arrays(X, X)


def test_an_output_file_is_complete_when_the_net_is_gone(tmp_path):
    path = tmp_path / "out.h5"
    sink = (
        f'layer {{ name: "o" type: "HDF5Output" bottom: "x" bottom: "t" hdf5_output_param {{ file_name: "{path}" }} }}'
    )
    net = opened(tmp_path, "".join(line for line in NET.splitlines(True)[2:4]) + sink)
    for k in (1, 2):
        net.forward(x=k * X, t=[0, k])
    del net
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["data"][:, :, 0, 0], np.concatenate([X, 2 * X]))
        np.testing.assert_array_equal(file["label"][:, 0, 0, 0], [0, 1, 0, 2])


def test_stages_and_levels_choose_layers(tmp_path):
    rule = 'layer { name: "d" type: "ReLU" bottom: "x" top: "d" include { stage: "deploy" min_level: 2 } }'
    assert "d" not in opened(tmp_path, NET + rule).blobs
    assert "d" in opened(tmp_path, NET + rule, level=2, stages=["deploy"]).blobs


def test_what_is_given_is_stretched_and_may_have_axes_of_one_in_front(net):
    net.forward(x=[[1], [2]], t=[0, 1])
    np.testing.assert_array_equal(net.blobs["x"].data, [[1, 1, 1], [2, 2, 2]])
    net.blobs["x"].reshape(1, 3)
    net.blobs["t"].reshape(1)
    net.forward(x=X[None, None, :1], t=[0])
    np.testing.assert_array_equal(net.blobs["x"].data, X[:1])


def test_names_by_number(net):
    assert list(net._blob_names) == list(net.blobs)
    assert (net._input_list, net._output_list) == (net.inputs, net.outputs)
    assert (net._blobs_dict, net._params_dict, net._layer_dict) == (net.blobs, net.params, net.layer_dict)
    assert net._blobs[2] is net.blobs["h"]
    assert (net._inputs, net._outputs) == ([0, 1], [4])
    assert (list(net._top_ids(4)), list(net._bottom_ids(5))) == ([3], [3, 1])
    assert net._blob_loss_weights == [0, 0, 0, 0, 2]


def test_the_weights_of_blobs_are_those_that_lie_by_number(net):
    net._blob_loss_weights[2] = 5
    assert net.blob_loss_weights == {"x": 0, "t": 0, "h": 5, "y": 0, "loss": 2}


def test_what_it_lists_is_of_caffes_classes(net):
    assert all(isinstance(layer, caffe.Layer) for layer in net.layers)
    assert isinstance(net._blobs, caffe._caffe.BlobVec)


def test_a_subclass_may_have_names_of_its_own(tmp_path):
    class Named(caffe.Net):
        @property
        def layers(self):
            return list(self.blobs)

    (tmp_path / "net.prototxt").write_text(NET)
    net = Named(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert net.forward(x=X, t=[0, 2])["loss"] > 0
    assert net.layers == ["x", "t", "h", "y", "loss"]


def test_forward_by_number_returns_the_loss(net):
    net.forward(x=X, t=[0, 2])
    assert net._forward(0, 5) == pytest.approx(2 * float(net.blobs["loss"].data))
    net.blobs["loss"].diff[...] = 7
    assert net._forward(0, 5) == pytest.approx(7 * float(net.blobs["loss"].data))


def test_a_range_without_a_layer_computes_nothing(net):
    assert net._forward(0, -1) == 0
    net._backward(-1, 0)


def test_all_forms_of_opening(net, path, tmp_path):
    model = str(tmp_path / "m.caffemodel")
    net.save(model)
    for other in (
        caffe.Net(str(path), model),
        caffe.Net(str(path), model, caffe.TRAIN),
        caffe.Net(str(path), caffe.TRAIN, weights=model),
        caffe.Net(network_file=str(path), phase=caffe.TEST, level=0, stages=["x"], weights=model),
        caffe.Net(str(path), caffe.TEST, 0, None, model),
    ):
        np.testing.assert_array_equal(other.params["ip2"][0].data, net.params["ip2"][0].data)
    with pytest.raises(NetError, match="phase is 7"):
        caffe.Net(str(path), 7)


def test_parameters_are_copied_from_another_net_by_layer_name(net, path, tmp_path):
    other = opened(tmp_path, NET.replace('"ip2"', '"other"'))
    before = other.params["other"][0].data.copy()
    other.copy_from(net)
    np.testing.assert_array_equal(other.params["ip1"][0].data, net.params["ip1"][0].data)
    np.testing.assert_array_equal(other.params["other"][0].data, before)
    net.params["ip1"][0].data[...] = 9
    assert not (other.params["ip1"][0].data == 9).any()
    wider = opened(tmp_path, NET.replace("num_output: 4", "num_output: 5"))
    with pytest.raises(SnapshotError, match=r"shape is 4 3 \(12\); target param shape is 5 3 \(15\)"):
        wider.copy_from(net)


def test_fully_connected_layers_become_convolutions(tmp_path):
    given = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: %d dim: 3 } } }'
    full = opened(tmp_path, given % 3 + f'layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "y" {IP % 4} }}')
    conv = opened(
        tmp_path,
        given % 4 + 'layer { name: "conv" type: "Convolution" bottom: "x" top: "y" '
        "convolution_param { num_output: 4 kernel_size: 3 } }",
    )
    for there, here in zip(conv.params["conv"], full.params["ip"], strict=True):
        there.data.flat = here.data.flat
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 3)).astype("f")
    y = conv.forward(x=x)["y"]
    np.testing.assert_allclose(y[..., 0, 0], full.forward(x=x[:, :, :3])["y"], rtol=1e-5)
    np.testing.assert_allclose(y[..., 1, 0], full.forward(x=x[:, :, 1:])["y"], rtol=1e-5)


def test_an_hdf5_model_may_have_any_name(net, path, tmp_path):
    net.save_hdf5(str(tmp_path / "model"))
    other = caffe.Net(str(path), caffe.TEST)
    other.load_hdf5(str(tmp_path / "model"))
    np.testing.assert_array_equal(other.params["ip2"][0].data, net.params["ip2"][0].data)


def test_names_are_where_scripts_look_for_them():
    from caffe._caffe import Net
    from caffe.pycaffe import SGDSolver

    assert (Net, SGDSolver) == (caffe.Net, caffe.SGDSolver)
