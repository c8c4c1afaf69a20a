"""Reads and writes binary protobuf files (models, solver states, means), and converts blobs to and from numpy."""

import errno
import math
from pathlib import Path
from typing import TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message

from engine.errors import PrototxtError, SnapshotError
from engine.host import atomic_file, regular_file
from engine.proto import caffe_pb2 as pb
from engine.proto import fork_wire, model_shapes, raw_bytes, upgrade
from engine.proto.model_shapes import HDF5
from engine.proto.wire import delimited, read_varint

M = TypeVar("M", bound=Message)

LIMIT = 2**31 - 1
"""The largest message that protobuf reads or writes, in bytes."""

_RECOGNISED = (
    (pb.NetParameter, "layer", "a model (.caffemodel)"),
    (pb.SolverState, "history", "a solver's state (.solverstate)"),
)
"""Messages, a field by which each is recognised, and what users call its files."""


def read(path: str | Path, message_class: type[M], fork: str | None = None) -> M:
    """The message in the binary file `path`. Raises PrototxtError.

    fork: the one of `fork_wire.FORKS` that wrote the net, if known; otherwise it is inferred from the layers.
    """
    what = message_class.DESCRIPTOR.name
    try:
        data = regular_file.read(path, LIMIT)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise PrototxtError(
                f"{path}: {error.strerror}: protobuf reads 2 GiB. "
                "Keep a model of this size in HDF5 (snapshot_format: HDF5)."
            ) from error
        raise PrototxtError(f"{path}: cannot be read: {error.strerror}.") from error
    if not data:
        raise PrototxtError(f"{path}: is empty.")
    try:
        message = _parsed(data, message_class, fork)
    except DecodeError:
        raise PrototxtError(f"{path}: {_mistaken(data, what)}") from None
    if not message.ListFields():
        raise PrototxtError(f"{path}: {_mistaken(data, what)}")
    _keep_raw_bytes(message)
    return message


def write(path: str | Path, message: Message) -> None:
    """Writes `message` to `path`, whole or not at all. Raises SnapshotError."""
    if (size := message.ByteSize()) > LIMIT:
        raise SnapshotError(
            f"{path}: the message has {size} bytes, and protobuf writes 2 GiB at most. Use snapshot_format: HDF5."
        )
    data = message.SerializeToString()
    with atomic_file.writing(path, SnapshotError):
        atomic_file.replace(path, fork_wire.as_forks(data) if isinstance(message, pb.NetParameter) else data)


def read_net(path: str | Path, fork: str | None = None) -> pb.NetParameter:
    """The net with its parameters in the .caffemodel `path`, upgraded to today's form. Raises PrototxtError."""
    return upgrade.bring_up(read(path, pb.NetParameter, fork), path)


def to_array(blob: pb.BlobProto) -> np.ndarray:
    """The values of `blob`, float32 and read-only, shaped by `shape`, or by the older num × channels × height × width.

    Raises SnapshotError if the number of values does not match the shape, and for a shape that no array can have.
    """
    values = _packed(blob, "double_data" if blob.double_data else "data")
    shape = model_shapes.of_blob(blob)
    if min(shape, default=0) < 0 or math.prod(shape) != values.size:
        raise SnapshotError(f"a blob of shape {shape} holds {values.size} values.")
    try:
        return values.astype(np.float32, copy=False).reshape(shape)
    except ValueError:  # no values at all, but more or longer axes than numpy allows
        raise SnapshotError(
            f"a blob has {len(shape)} axes, of sizes up to {max(shape)}; no array can have that shape."
        ) from None


def from_array(array: np.ndarray, diff: np.ndarray | None = None) -> pb.BlobProto:
    """A blob with `array`'s shape and values, as float32; `diff`: a gradient of that shape.

    Raises SnapshotError if that is more than protobuf can hold.
    """
    if 4 * np.size(array) > LIMIT:
        raise SnapshotError(
            f"a blob of shape {np.shape(array)} is larger than the 2 GiB of protobuf. Use snapshot_format: HDF5."
        )
    blob = pb.BlobProto()
    blob.shape.dim.extend(np.shape(array))
    for name, values in (("data", array), ("diff", diff)):
        if values is not None and np.size(values):
            packed = np.ascontiguousarray(values, dtype="<f4").reshape(-1).view(np.uint8)
            blob.MergeFromString(b"".join(delimited(_number(name), packed.data)))
    return blob


# Python's protobuf returns repeated numbers one object at a time, which takes minutes for a large model. On the wire
# they are one run of little-endian values, which numpy reads directly.
# https://protobuf.dev/programming-guides/encoding/


def _packed(blob: pb.BlobProto, name: str) -> np.ndarray:
    kind = np.dtype("<f8" if name.startswith("double") else "<f4")
    wire, at = blob.SerializeToString(), 0
    while at < len(wire):
        tag, at = read_varint(wire, at, len(wire))
        match tag & 7:
            case 0:
                _, at = read_varint(wire, at, len(wire))
            case 1:
                at += 8
            case 2:
                length, at = read_varint(wire, at, len(wire))
                if tag >> 3 == _number(name):
                    return np.frombuffer(wire, kind, length // kind.itemsize, at)
                at += length
            case 5:
                at += 4
    return np.empty(0, kind)


def _number(name: str) -> int:
    return pb.BlobProto.DESCRIPTOR.fields_by_name[name].number


def _keep_raw_bytes(message: Message) -> None:
    """Replaces strings that are not UTF-8, which Python's protobuf returns as bytes, by text; see `raw_bytes`."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type is not pb.BlobProto.DESCRIPTOR:
            for each in value if field.is_repeated else (value,):
                _keep_raw_bytes(each)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            for i, each in enumerate(value):
                if isinstance(each, bytes):
                    value[i] = raw_bytes.decoded(each)
        elif field.type == field.TYPE_STRING and isinstance(value, bytes):
            setattr(message, field.name, raw_bytes.decoded(value))


def _parsed(data: bytes, message_class: type[M], fork: str | None) -> M:
    if message_class is not pb.NetParameter:
        return message_class.FromString(data)
    net = fork_wire.translated(data, fork)
    try:
        return message_class.FromString(net)
    except DecodeError:  # perhaps it is from an unknown fork
        return message_class.FromString(fork_wire.readable(net))


def _has(data: bytes, message_class: type[Message], field: str) -> bool:
    try:
        return bool(getattr(message_class.FromString(data), field))
    except DecodeError:
        return False


def _mistaken(data: bytes, what: str) -> str:
    """What the `data` of a file seems to be, if it is not a binary `what`; for a message."""
    if data.startswith(HDF5):
        return f"is HDF5, and a binary {what} is needed. Name HDF5 files .h5."
    for other, field, kind in _RECOGNISED:
        if other.DESCRIPTOR.name != what and _has(data, other, field):
            return f"is {kind}, and a binary {what} is needed."
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data[:512]):
        return f"is text, and a binary {what} is needed. Is it the prototxt of the model?"
    return f"is not a binary {what}, or only a part of one: is it damaged, or not copied completely?"
