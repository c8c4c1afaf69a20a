import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from engine.errors import PrototxtError, SnapshotError
from engine.proto import binary
from engine.proto import caffe_pb2 as pb

ARRAYS = nps.arrays(
    np.float32,
    nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    elements=st.floats(width=32, allow_nan=False),
)


@settings(deadline=None)
@given(ARRAYS)
def test_an_array_goes_into_a_blob_and_comes_out(array):
    out = binary.to_array(binary.from_array(array))
    assert out.dtype == np.float32
    assert out.shape == array.shape
    assert np.array_equal(out, array)


@settings(deadline=None, max_examples=30)
@given(ARRAYS)
def test_a_blob_made_of_an_array_is_the_one_that_protobuf_makes(array):
    made = pb.BlobProto(data=array.ravel().tolist(), diff=(-array).ravel().tolist())
    made.shape.dim.extend(array.shape)
    assert binary.from_array(array, diff=-array) == made


def test_an_array_of_another_type_and_order_goes_in_as_float32():
    array = np.arange(6.0).reshape(2, 3).T
    assert np.array_equal(binary.to_array(binary.from_array(array)), array.astype(np.float32))


def test_old_axes_overrule_the_shape():
    blob = pb.BlobProto(num=1, channels=2, height=1, width=3, data=range(6))
    blob.shape.dim.extend([6])
    assert binary.to_array(blob).shape == (1, 2, 1, 3)


def test_doubles_come_out_as_floats():
    blob = pb.BlobProto(double_data=[0.1, math.pi], shape=pb.BlobShape(dim=[2]))
    assert np.array_equal(binary.to_array(blob), np.float32([0.1, math.pi]))


def test_a_gradient_and_unknown_fields_beside_the_values_do_not_matter():
    blob = binary.from_array(np.ones((2, 2)), diff=np.zeros((2, 2)))
    blob.MergeFromString(b"\xa0\x06\x81\x01\xa2\x06\x03abc\xad\x06\0\0\0\0\xa9\x06" + bytes(8))
    assert np.array_equal(binary.to_array(blob), np.ones((2, 2)))


def test_a_blob_of_one_number_may_have_no_axes():
    assert binary.to_array(pb.BlobProto(data=[3])).shape == ()


@pytest.mark.parametrize("dims", [[4], [-1, -3], [2, -1]])
def test_values_that_do_not_fill_the_shape_are_refused(dims):
    with pytest.raises(SnapshotError, match=r"a blob of shape .* holds 3 values"):
        binary.to_array(pb.BlobProto(data=[1, 2, 3], shape=pb.BlobShape(dim=dims)))


@pytest.mark.parametrize("dims", [[0] * 65, [2**31] * 3 + [0]])
def test_a_shape_of_no_array_is_refused(dims):
    with pytest.raises(SnapshotError, match="no array can have that shape"):
        binary.to_array(pb.BlobProto(shape=pb.BlobShape(dim=dims)))


def test_a_blob_beyond_what_protobuf_holds_is_refused():
    with pytest.raises(SnapshotError, match=r"\(30000, 30000\) is larger than the 2 GiB .*HDF5"):
        binary.from_array(np.broadcast_to(np.float32(0), (30000, 30000)))


def model():
    layer = pb.LayerParameter(name="ip", type="InnerProduct", blobs=[binary.from_array(np.ones((10, 20)))])
    return pb.NetParameter(name="net", layer=[layer])


def test_a_model_is_written_and_read(tmp_path):
    file = tmp_path / "net.caffemodel"
    binary.write(file, model())
    assert binary.read(file, pb.NetParameter) == model()
    assert list(tmp_path.iterdir()) == [file]


def test_an_old_model_is_upgraded_with_its_parameters(tmp_path):
    file = tmp_path / "net.caffemodel"
    blob = binary.from_array(np.ones((10, 20)))
    old = pb.V1LayerParameter(name="ip", type=pb.V1LayerParameter.INNER_PRODUCT, blobs=[blob])
    binary.write(file, pb.NetParameter(layers=[old]))
    (layer,) = binary.read_net(file).layer
    assert (layer.name, layer.type, list(layer.blobs)) == ("ip", "InnerProduct", [blob])


def damaged(tmp_path, data):
    file = tmp_path / "net.caffemodel"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b'name: "net"\nlayer { name: "ip" }\n', "is text, and a binary NetParameter is needed"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is HDF5"),
        (bytes(100), "is not a binary NetParameter"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a binary NetParameter"),
        (
            pb.SolverState(iter=9, learned_net="net.caffemodel", history=[pb.BlobProto()]).SerializeToString(),
            r"is a solver's state \(\.solverstate\), and a binary NetParameter is needed",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, data, said):
    file = damaged(tmp_path, data)
    with pytest.raises(PrototxtError, match=f"^{file}: {said}"):
        binary.read_net(file)


def test_a_model_in_place_of_a_solvers_state_is_refused(tmp_path):
    file = damaged(tmp_path, model().SerializeToString())
    with pytest.raises(PrototxtError, match=r"is a model \(\.caffemodel\), and a binary SolverState is needed"):
        binary.read(file, pb.SolverState)


@pytest.mark.parametrize("kept", [20, 500, -1])
def test_a_truncated_model_is_refused(tmp_path, kept):
    file = damaged(tmp_path, model().SerializeToString()[:kept])
    with pytest.raises(PrototxtError, match="only a part of one"):
        binary.read_net(file)


def test_a_missing_model_is_said(tmp_path):
    with pytest.raises(PrototxtError, match=r"gone\.caffemodel: cannot be read: No such file"):
        binary.read_net(tmp_path / "gone.caffemodel")


def test_a_file_beyond_2_gib_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "net.caffemodel"
    with file.open("wb") as sparse:
        sparse.truncate(2**31)
    with pytest.raises(PrototxtError, match=r"2,147,483,648 bytes, but at most .*protobuf reads 2 GiB.*HDF5"):
        binary.read_net(file)


def test_a_message_beyond_the_limit_is_not_written(tmp_path, monkeypatch):
    net = model()
    monkeypatch.setattr(binary, "LIMIT", 100)
    with pytest.raises(SnapshotError, match=r"protobuf writes 2 GiB at most\. Use snapshot_format: HDF5"):
        binary.write(tmp_path / "net.caffemodel", net)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    with pytest.raises(SnapshotError, match=r"net\.caffemodel: cannot be written: No such file or directory"):
        binary.write(tmp_path / "gone" / "net.caffemodel", model())
