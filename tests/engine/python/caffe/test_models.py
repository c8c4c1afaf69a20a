"""Models of nets whose parameters were cut to other sizes: what is written, and what cannot be read or computed."""

import caffe
import numpy as np
import pytest

from engine.errors import NetError, SnapshotError

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "h" inner_product_param { num_output: 4 } }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y" inner_product_param { num_output: 3 } }
"""


def opened(tmp_path, text, **options):
    file = tmp_path / "net.prototxt"
    file.write_text(text)
    return caffe.Net(str(file), caffe.TEST, **options)


@pytest.fixture
def net(tmp_path):
    net = opened(tmp_path, NET)
    for row in net.params.values():
        row[0].data[...] = np.random.default_rng(0).normal(size=row[0].shape)
    return net


def cut(net, layer, *shape):
    blob = net.params[layer][0]
    kept = blob.data[tuple(slice(n) for n in shape)].copy()
    blob.reshape(*shape)
    blob.data[...] = kept
    return kept


@pytest.mark.parametrize("suffix", ["caffemodel", "h5"])
def test_parameters_cut_to_other_sizes_are_saved_in_these(net, tmp_path, suffix):
    kept, file = cut(net, "ip2", 3, 2), str(tmp_path / f"cut.{suffix}")
    cut(net, "ip1", 2, 3), net.params["ip1"][1].reshape(2)
    net.save(file) if suffix == "caffemodel" else net.save_hdf5(file)
    smaller = opened(tmp_path, NET.replace("num_output: 4", "num_output: 2"), weights=file)
    np.testing.assert_array_equal(smaller.params["ip2"][0].data, kept)


def test_a_net_computes_with_its_own_sizes_only(net, tmp_path):
    net.save(str(tmp_path / "whole.caffemodel"))
    net.params["ip1"][0].reshape(2, 6)  # as many values, and they lie as they lay
    net.forward()
    cut(net, "ip2", 3, 2)
    with pytest.raises(
        NetError, match=r'0 of layer "ip2" was reshaped to \[3, 2\], but the net computes with \[3, 4\]'
    ):
        net.forward()
    before = net.params["ip1"][1].data.copy()
    with pytest.raises(SnapshotError, match=r"from layer 'ip1' .* is 4 3 \(12\); target param shape is 2 6 \(12\)"):
        net.copy_from(str(tmp_path / "whole.caffemodel"))
    np.testing.assert_array_equal(net.params["ip1"][1].data, before)


@pytest.mark.parametrize("suffix", ["caffemodel", "h5"])
def test_parameters_cut_to_other_sizes_take_models_of_these(net, tmp_path, suffix):
    kept, file = cut(net, "ip2", 3, 2), str(tmp_path / f"cut.{suffix}")
    net.save(file) if suffix == "caffemodel" else net.save_hdf5(file)
    net.params["ip2"][0].data[...] = 9
    net.copy_from(file)
    np.testing.assert_array_equal(net.params["ip2"][0].data, kept)


def test_a_model_for_a_folder_that_is_not_there_is_refused(net, tmp_path):
    with pytest.raises(SnapshotError, match=r"no/it.h5: cannot be written: No such file"):
        net.save_hdf5(tmp_path / "no" / "it.h5")


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ('type: "ReLU" bottom: "x" top: "ip1"', "Incompatible number of blobs for layer 'ip1': it has 2 there and 0"),
        (
            'type: "InnerProduct" bottom: "x" top: "ip1" inner_product_param { num_output: 1 }',
            r"Cannot share param 0 weights from layer 'ip1'; shape mismatch. .* target param shape is 1 1 \(1\)",
        ),
    ],
)
def test_share_with_refuses_what_does_not_fit_in_caffes_words(net, tmp_path, layer, said):
    source = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }'
    other = opened(tmp_path, source + f'layer {{ name: "ip1" {layer} }}')
    with pytest.raises(NetError, match=said):
        other.share_with(net)
