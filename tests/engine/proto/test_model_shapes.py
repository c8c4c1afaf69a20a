"""The shapes of a model's arrays, without the arrays."""

from pathlib import Path

import pytest

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import model_shapes


def blob(*shape: int) -> pb.BlobProto:
    return pb.BlobProto(shape=pb.BlobShape(dim=shape), data=[1.0], diff=[1.0])


@pytest.mark.parametrize(
    ("net", "found"),
    [
        (pb.NetParameter(layer=[pb.LayerParameter(name="a", blobs=[blob(300, 2), blob()])]), [(300, 2), ()]),
        (pb.NetParameter(layers=[pb.V1LayerParameter(name="a", blobs=[blob(3)])]), [(3,)]),
        (
            pb.NetParameter(layers=[pb.V1LayerParameter(name="a", blobs=[pb.BlobProto(num=1, height=4, width=300)])]),
            [(1, 0, 4, 300)],
        ),
        (pb.NetParameter(layer=[pb.LayerParameter(name="a", blobs=[pb.BlobProto(num=-1)])]), [(-1, 0, 0, 0)]),
        (pb.NetParameter(name="n", layer=[pb.LayerParameter(name="a")]), []),
        (pb.NetParameter(name="n"), None),
    ],
)
def test_shapes_are_found_by_layer(tmp_path: Path, net: pb.NetParameter, found: list[tuple[int, ...]] | None) -> None:
    path = tmp_path / "m.caffemodel"
    path.write_bytes(net.SerializeToString())
    assert model_shapes.read(path) == ({} if found is None else {"a": found})


def test_hdf5_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.caffemodel.h5"
    path.write_bytes(model_shapes.HDF5 + bytes(10))
    assert model_shapes.read(path) is None


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "cannot be read"), (b"layer { }", "not a binary model"), (b"\n\x09x", "truncated")]
)
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "m.caffemodel"
    path.write_bytes(data)
    with pytest.raises(PrototxtError, match=said):
        model_shapes.read(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrototxtError, match="cannot be read"):
        model_shapes.read(tmp_path)
