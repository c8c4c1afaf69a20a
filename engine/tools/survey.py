"""Surveys a database of Datum or AnnotatedDatum records: their number, sizes, labels or boxes, and which are broken."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import DecodeError

from engine.data import annotation, datum
from engine.data.databases import ANNOTATED, Database, name_key
from engine.errors import DataError
from engine.host import ordered
from engine.proto import caffe_pb2 as pb
from engine.tools import progress

Record = tuple[bytes, bytes]


@dataclass(frozen=True)
class Sample:
    """A record to be shown. labels: its label, or the classes of its boxes. pixels: (channels, height, width), uint8 or
    float32, in BGR order."""

    labels: tuple[int, ...]
    pixels: np.ndarray


@dataclass
class Survey:
    """What was found. size: total bytes of the values. boxes: their number; None if the records have labels instead.

    Counters: shapes, (channels, height, width) → records; forms, "raw", "float" or the format of encoded pictures →
    records; labels, label → records or boxes.
    """

    records: int = 0
    size: int = 0
    broken: int = 0
    boxes: int | None = None
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    sums: dict[int, np.ndarray] = field(default_factory=dict)
    """By number of channels: the sum of each channel's mean over all records with that many channels."""

    @property
    def means(self) -> dict[int, list[float]]:
        """By number of channels: the mean of each channel. All records have equal weight, whatever their size."""
        counts: Counter[int] = Counter()
        for shape, records in self.shapes.items():
            counts[shape[0]] += records
        return {channels: (total / counts[channels]).tolist() for channels, total in self.sums.items()}


@dataclass(frozen=True)
class _Look:
    """The result of reading a record: the reason why it is broken, or its contents."""

    key: str
    size: int
    reason: str = ""
    labels: tuple[int, ...] = ()
    boxes: int | None = None
    form: str = ""
    pixels: np.ndarray | None = None
    means: np.ndarray | None = None


def survey(
    database: Database, samples: int = 0, broken: Callable[[str, str], None] = lambda key, reason: None
) -> Survey:
    """Reads and decodes every record, on all cores, and keeps the first `samples` usable ones.

    Calls `broken` with the key of each unusable record and the reason. Shows a progress bar on a terminal. Raises
    DataError if the database itself cannot be read further.
    """
    totals = Survey()
    looks = (look for some in ordered.mapped(_looks, ordered.chunks(database.records())) for look in some)
    for look in progress.shown(looks, getattr(database, "entries", None)):
        _count(totals, look, samples)
        if look.reason:
            broken(look.key, look.reason)
    return totals


def _looks(records: Sequence[Record]) -> list[_Look]:
    return [_look(name_key(key), value) for key, value in records]


def _look(key: str, value: bytes) -> _Look:
    try:
        record, boxes = _parsed(value)
        pixels = datum.pixels(record)
    except DataError as e:
        return _Look(key, len(value), str(e))
    if boxes is not None and not np.isfinite(boxes).all():
        return _Look(key, len(value), "has a box whose corners are not finite numbers")
    if pixels.dtype != np.uint8 and not np.isfinite(pixels).all():
        return _Look(key, len(value), "holds values that are not finite numbers")
    form = _format(record.data) if record.encoded else "raw" if pixels.dtype == np.uint8 else "float"
    labels = (record.label,) if boxes is None else tuple(boxes[:, 0].astype(int).tolist())
    count = None if boxes is None else len(boxes)
    return _Look(key, len(value), "", labels, count, form, pixels, pixels.mean(axis=(1, 2), dtype=np.float64))


def _parsed(value: bytes) -> tuple[pb.Datum, np.ndarray | None]:
    """A record's picture, and its boxes in the form of `annotation`, or None if it has a label. Raises DataError."""
    if not value.startswith(ANNOTATED):
        return datum.parse(value), None
    try:
        record = pb.AnnotatedDatum.FromString(value)
    except DecodeError as e:
        raise DataError(f"not an AnnotatedDatum record ({len(value):,} bytes)") from e
    return record.datum, annotation.boxes_of(record) if record.HasField("type") else None


_FORMATS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"RIFF": "WebP", b"BM": "BMP"}
"""Picture formats by the first bytes of their files."""


def _format(data: bytes) -> str:
    return next((name for begin, name in _FORMATS.items() if data.startswith(begin)), "other")


def _count(totals: Survey, look: _Look, samples: int) -> None:
    totals.records += 1
    totals.size += look.size
    if look.pixels is None or look.means is None:
        totals.broken += 1
        return
    totals.shapes[look.pixels.shape] += 1
    totals.forms[look.form] += 1
    totals.labels.update(look.labels)
    if look.boxes is not None:
        totals.boxes = (totals.boxes or 0) + look.boxes
    channels = len(look.means)
    totals.sums[channels] = totals.sums.get(channels, 0) + look.means
    if len(totals.samples) < samples:
        totals.samples.append(Sample(look.labels, look.pixels))
