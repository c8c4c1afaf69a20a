"""What is in a database of Datum records: how many, of what sizes, with which labels; and which are broken."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.data import datum
from engine.data.databases import Database, name_key
from engine.errors import DataError
from engine.tools import ordered, progress

Record = tuple[bytes, bytes]


@dataclass(frozen=True)
class Sample:
    """A record as it can be shown. pixels: (channels, height, width), uint8 or float32, in BGR order."""

    label: int
    pixels: np.ndarray


@dataclass
class Survey:
    """What was found. size: bytes of the values. shapes: (channels, height, width) → records. forms: raw, float or the
    format of encoded pictures → records."""

    records: int = 0
    size: int = 0
    broken: int = 0
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    sums: dict[int, np.ndarray] = field(default_factory=dict)
    """By number of channels, the sum over such records of each channel's mean."""

    @property
    def means(self) -> dict[int, list[float]]:
        """By number of channels: the mean of each channel, every record counting the same whatever its size."""
        counts: Counter[int] = Counter()
        for shape, records in self.shapes.items():
            counts[shape[0]] += records
        return {channels: (total / counts[channels]).tolist() for channels, total in self.sums.items()}


@dataclass(frozen=True)
class _Look:
    """A record, read: why it is broken, or what it holds."""

    key: str
    size: int
    reason: str = ""
    label: int = 0
    form: str = ""
    pixels: np.ndarray | None = None
    means: np.ndarray | None = None


def survey(
    database: Database, samples: int = 0, broken: Callable[[str, str], None] = lambda key, reason: None
) -> Survey:
    """Reads and decodes every record, on all cores; keeps the first `samples` that can be used.

    `broken` is told the key of each that cannot be used, and why; a terminal sees how many are done. Raises DataError
    where the database itself cannot be read further.
    """
    found = Survey()
    looks = (look for some in ordered.mapped(_looks, ordered.chunks(database.records())) for look in some)
    for look in progress.shown(looks, getattr(database, "entries", None)):
        _count(found, look, samples)
        if look.reason:
            broken(look.key, look.reason)
    return found


def _looks(records: Sequence[Record]) -> list[_Look]:
    return [_look(name_key(key), value) for key, value in records]


def _look(key: str, value: bytes) -> _Look:
    try:
        record = datum.parse(value)
        pixels = datum.pixels(record)
    except DataError as e:
        return _Look(key, len(value), str(e))
    if pixels.dtype != np.uint8 and not np.isfinite(pixels).all():
        return _Look(key, len(value), "holds values that are not finite numbers")
    form = _format(record.data) if record.encoded else "raw" if pixels.dtype == np.uint8 else "float"
    return _Look(key, len(value), "", record.label, form, pixels, pixels.mean(axis=(1, 2), dtype=np.float64))


_FORMATS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"RIFF": "WebP", b"BM": "BMP"}
"""By what their files begin with."""


def _format(data: bytes) -> str:
    return next((name for begin, name in _FORMATS.items() if data.startswith(begin)), "other")


def _count(found: Survey, look: _Look, samples: int) -> None:
    found.records += 1
    found.size += look.size
    if look.pixels is None or look.means is None:
        found.broken += 1
        return
    found.shapes[look.pixels.shape] += 1
    found.forms[look.form] += 1
    found.labels[look.label] += 1
    channels = len(look.means)
    found.sums[channels] = found.sums.get(channels, 0) + look.means
    if len(found.samples) < samples:
        found.samples.append(Sample(look.label, look.pixels))
