"""Reads the shapes of a model's arrays from its file without reading the arrays."""

import mmap
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from engine.errors import PrototxtError
from engine.host import regular_file
from engine.proto import caffe_pb2 as pb
from engine.proto.wire import Field, fields

Shape = tuple[int, ...]

HDF5 = b"\x89HDF\r\n\x1a\n"
"""The first bytes of HDF5 files."""


def _number(message: type, field: str) -> int:
    return message.DESCRIPTOR.fields_by_name[field].number  # type: ignore[attr-defined, no-any-return]


LAYERS = {
    _number(pb.NetParameter, "layer"): (_number(pb.LayerParameter, "name"), _number(pb.LayerParameter, "blobs")),
    _number(pb.NetParameter, "layers"): (_number(pb.V1LayerParameter, "name"), _number(pb.V1LayerParameter, "blobs")),
}
"""The fields with a net's layers, today's and the older ones, and for each those with a layer's name and arrays."""

OLD = ("num", "channels", "height", "width")
TOLD = {_number(pb.BlobProto, name) for name in ("shape", *OLD)}
"""The fields of an array that give its shape."""


def read(path: Path) -> dict[str, list[Shape]] | None:
    """The shapes of each layer's arrays in a binary .caffemodel, by the layer's name.

    None for a model in HDF5. Raises PrototxtError for a file that cannot be read, or is not a binary model.
    """
    by_layer: dict[str, list[Shape]] = {}
    try:
        with regular_file.opened(path) as (descriptor, _), mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
            if data[: len(HDF5)] == HDF5:
                return None
            with memoryview(data) as view:
                for field in fields(view, 0, len(view)):
                    if field.wire == 2 and field.number in LAYERS:
                        name, shapes = _layer(view, field)
                        by_layer[name] = shapes
    except (OSError, ValueError) as error:  # ValueError: it is empty
        raise PrototxtError(f"{path}: cannot be read: {error}") from None
    except DecodeError as error:
        raise PrototxtError(f"{path}: is not a binary model, or is truncated: {error}") from None
    return by_layer


def _layer(data: memoryview, layer: Field) -> tuple[str, list[Shape]]:
    own_name, own_blobs = LAYERS[layer.number]
    name, shapes = "", list[Shape]()
    for field in _messages(data, layer):
        if field.number == own_name:
            name = bytes(data[field.value : field.end]).decode(errors="surrogateescape")
        elif field.number == own_blobs:
            shapes.append(_shape(data, field))
    return name, shapes


def of_blob(blob: pb.BlobProto) -> Shape:
    """The shape given by `shape`, or by the four older fields, which count if any of them is set."""
    return tuple(getattr(blob, name) for name in OLD) if any(map(blob.HasField, OLD)) else tuple(blob.shape.dim)


def _shape(data: memoryview, blob: Field) -> Shape:
    shape_fields = (
        data[field.start : field.end] for field in fields(data, blob.value, blob.end) if field.number in TOLD
    )
    return of_blob(pb.BlobProto.FromString(b"".join(shape_fields)))


def _messages(data: memoryview, message: Field) -> Iterator[Field]:
    return (field for field in fields(data, message.value, message.end) if field.wire == 2)
