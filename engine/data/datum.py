"""Datum records, each a picture with its label, raw or in an encoded format such as JPEG: to arrays and back."""

import enum
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from google.protobuf.message import DecodeError

from engine.data import jpeg, picture_limits
from engine.data.databases import ANNOTATED
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb


class Colour(enum.IntEnum):
    """How an encoded picture is decoded; the values are OpenCV's flags."""

    AS_STORED = cv2.IMREAD_UNCHANGED
    COLOUR = cv2.IMREAD_COLOR
    GREY = cv2.IMREAD_GRAYSCALE


def parse(value: bytes) -> pb.Datum:
    """The message of a record. Raises DataError for bytes that are not a Datum."""
    if value.startswith(ANNOTATED):
        raise DataError("is an AnnotatedDatum record, a picture with boxes: the layer AnnotatedData reads those")
    try:
        return pb.Datum.FromString(value)
    except DecodeError as e:
        raise DataError(f"not a Datum record ({len(value):,} bytes)") from e


def stacked(values: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray] | None:
    """Decodes raw records all at once: their uint8 pictures (n, channels, height, width) and labels (n,).

    None unless all have the layout of the first, that is, agree byte for byte except for pixels and label: then each
    needs `parse` and `pixels`.
    """
    layout, size = _layout(values[0]), len(values[0])
    if layout is None or any(len(value) != size for value in values):
        return None
    table = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), size)
    fixed = np.ones(size, bool)
    fixed[layout.data.start : layout.data.stop] = fixed[layout.label.start : layout.label.stop] = False
    label = table[:, layout.label.start : layout.label.stop]
    if (table[:, fixed] != table[0, fixed]).any() or (label >> 7 != label[0] >> 7).any():
        return None
    weights = 1 << 7 * np.arange(label.shape[1])
    pictures = table[:, layout.data.start : layout.data.stop].reshape(len(values), *layout.shape)
    return pictures, (label & 127) @ weights


@dataclass(frozen=True)
class _Layout:
    """A raw record's picture shape, and the ranges of bytes with its pixels and its label, the latter maybe empty."""

    shape: tuple[int, int, int]
    data: range
    label: range


def _layout(value: bytes) -> _Layout | None:
    """The layout of a record; None unless it is a raw picture with a label of 0 or more, and no field occurs twice.

    A record is a sequence of fields, each a key and a value. Both are varints: 7 bits per byte, lowest first, with the
    8th bit set in all bytes but the last. `data` is a length as a varint, and as many bytes.
    https://protobuf.dev/programming-guides/encoding
    """
    ranges: dict[int, range] = {}
    numbers: dict[int, int] = {}
    at = 0
    while at < len(value):
        key = value[at]
        number, behind = _varint(value, at + 1)
        if key in ranges or key not in _FIELDS or not 0 <= number < 2**28:
            return None
        ranges[key], numbers[key] = range(at + 1, behind), number
        if key == _DATA:
            ranges[key] = range(behind, behind + number)
            behind += number
        at = behind
    shape = numbers.get(_CHANNELS, 0), numbers.get(_HEIGHT, 0), numbers.get(_WIDTH, 0)
    data = ranges.get(_DATA, range(0))
    if at != len(value) or not data or numbers.get(_ENCODED) or len(data) != shape[0] * shape[1] * shape[2]:
        return None
    return _Layout(shape, data, ranges.get(_LABEL, range(0)))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at `at`, and the position after it; −1 for one of more than 4 bytes."""
    number = 0
    for i, byte in enumerate(data[at : at + 4]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, at + i + 1
    return -1, at


_VARINT, _BYTES = 0, 2
_CHANNELS, _HEIGHT, _WIDTH, _LABEL, _ENCODED = (
    pb.Datum.DESCRIPTOR.fields_by_name[name].number << 3 | _VARINT
    for name in ("channels", "height", "width", "label", "encoded")
)
_DATA = pb.Datum.DESCRIPTOR.fields_by_name["data"].number << 3 | _BYTES
_FIELDS = (_CHANNELS, _HEIGHT, _WIDTH, _LABEL, _ENCODED, _DATA)
"""The keys of the fields that a raw record may have."""


def pixels(datum: pb.Datum, colour: Colour = Colour.AS_STORED) -> np.ndarray:
    """The picture (channels, height, width): uint8, or float32 for `float_data`. Colours are in BGR order.

    Raises DataError for a record without pixels, one of another size than it says, and one that cannot be decoded.
    """
    if datum.encoded:
        return decode(datum.data, colour)
    shape = (datum.channels, datum.height, datum.width)
    flat = (
        np.frombuffer(datum.data, np.uint8)
        if datum.data
        else np.fromiter(datum.float_data, np.float32, len(datum.float_data))
    )
    if min(shape) <= 0 or flat.size != shape[0] * shape[1] * shape[2]:
        raise DataError(
            f"says {shape[0]}×{shape[1]}×{shape[2]} (channels × height × width) and holds {flat.size:,} values"
        )
    return flat.reshape(shape)


def decode(data: bytes, colour: Colour) -> np.ndarray:
    """Decodes a picture (PNG, JPEG, …) to uint8 (channels, height, width), with the same pixels as Caffe.

    Raises DataError for one that cannot be decoded, or does not have 8 bits per channel.
    """
    picture = decode_any_depth(data, colour)
    if picture.dtype != np.uint8:
        raise DataError(
            f"holds a picture of {picture.dtype} values; only 8 bits per channel are allowed: force_color and "
            "force_gray convert it"
        )
    return picture


def decode_any_depth(data: bytes, colour: Colour) -> np.ndarray:
    """Like `decode`, but if `colour` is AS_STORED, with as many bits per channel as the file has.

    Raises DataError for a picture that cannot be decoded.
    """
    _check_png(data)
    most = picture_limits.most_pixels()
    picture = None
    if data.startswith(jpeg.START):
        picture = jpeg.decode(data, most, None if colour == Colour.AS_STORED else colour == Colour.GREY)
    try:
        if picture is None and data:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), colour)
    except (cv2.error, MemoryError) as e:
        raise DataError(
            f"holds {len(data):,} bytes that OpenCV cannot decode ({_reason(e)}); a picture may have {most:,} pixels "
            "at most (OPENCV_IO_MAX_IMAGE_PIXELS)"
        ) from e
    if picture is None:
        raise DataError(f"holds {len(data):,} bytes that are not a picture in a format that OpenCV reads")
    return picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)


def raw(picture: np.ndarray, label: int) -> pb.Datum:
    """The record of a uint8 picture (channels, height, width), stored raw."""
    channels, height, width = picture.shape
    return pb.Datum(channels=channels, height=height, width=width, data=picture.tobytes(), label=label)


def floats(picture: np.ndarray, label: int | None = None) -> bytes:
    """The bytes of the record of a picture (channels, height, width) of float values."""
    channels, height, width = picture.shape
    head = pb.Datum(channels=channels, height=height, width=width, label=label).SerializeToString()
    wire = np.empty(picture.size, [("tag", "u1"), ("value", "<f4")])  # in protobuf each has the field's tag
    wire["tag"] = pb.Datum.FLOAT_DATA_FIELD_NUMBER << 3 | 5
    wire["value"] = picture.ravel()
    return head + wire.tobytes()


def encoded(data: bytes, label: int) -> pb.Datum:
    """The record of a picture in an encoded format; `data`: its file's bytes, stored unchanged."""
    return pb.Datum(data=data, label=label, encoded=True)


def _check_png(data: bytes) -> None:
    """Raises DataError for a PNG with a chunk that claims too great a length, or whose checksum is wrong.

    OpenCV allocates what a chunk claims before it looks how much there is, which takes seconds and gigabytes, and it
    decodes pictures with wrong checksums. A chunk is its length, its type, its contents, and a checksum of type and
    contents; chunks whose type begins with a small letter are optional. https://www.w3.org/TR/png/#5Chunk-layout
    """
    if not data.startswith(_PNG):
        return
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        start, at = at + 4, at + 12 + length
        if at > len(data) + _ROOM:
            raise DataError(f"holds a PNG of {len(data):,} bytes with a chunk that claims to have {length:,}")
        needed = kind.isalpha() and kind.isupper() and at <= len(data)
        if needed and zlib.crc32(data[start : at - 4]) != int.from_bytes(data[at - 4 : at]):
            raise DataError(f"holds a PNG whose chunk {kind.decode()} does not match its checksum: it is damaged")


_PNG = b"\x89PNG\r\n\x1a\n"
_ROOM = 1 << 24
"""Bytes that may be missing at the end of a chunk: OpenCV decides what can be seen of a truncated picture."""


def _reason(error: Exception) -> str:
    return str(getattr(error, "err", "")) or str(error) or "not enough memory"
