"""Skips and counts bad records, if the user asks for it; otherwise the first bad record ends the run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from engine import log
from engine.data.label_bounds import LabelBounds
from engine.errors import BadRecord, DataError


class BadRecords:
    """The bad records that a layer's source skips: logs each at once, and their number at the end.

    `bounds`: the allowed labels in each top (`Net.label_bounds`), once known; a record with any other label is bad too.
    """

    def __init__(self, layer: str) -> None:
        self.count = 0
        self.bounds: Mapping[str, Sequence[LabelBounds]] = {}
        self._layer = layer
        self._logged: set[int] = set()

    def skip(self, error: BadRecord) -> None:
        """Notes a skipped record, which `error` names with the reason. It is logged and counted only the first time."""
        if hash(str(error)) in self._logged:
            return
        self._logged.add(hash(str(error)))
        self.count += 1
        log.warning("data_layer.cpp:62", f'layer "{self._layer}": skipped a bad record: {error}')

    def sum_up(self) -> None:
        """Logs how many were skipped, if any; to be called at the end."""
        if self.count:
            records = "1 bad record was" if self.count == 1 else f"{self.count:,} bad records were"
            log.warning("data_layer.cpp:62", f'layer "{self._layer}": {records} skipped in all.')


class GoodNumbers:
    """The numbered records that are not known to be bad; the next good one stands in for a bad one."""

    def __init__(self, count: int, records: str) -> None:
        """count: how many records there are. records: what they are, for the message that none of them can be used."""
        self._count, self._records = count, records
        self._bad: set[int] = set()

    def from_(self, number: int) -> int:
        """`number` if it is good, otherwise the next that is, cyclically. Raises DataError if none is left."""
        if len(self._bad) == self._count:
            raise DataError(f"None of {self._records} can be used.")
        while number in self._bad:
            number = (number + 1) % self._count
        return number

    def leave_out(self, number: int) -> bool:
        """Notes a bad record. Returns False if it was known already."""
        known = number in self._bad
        self._bad.add(number)
        return not known


@runtime_checkable
class Skips(Protocol):
    """A source that can skip bad records; `bad` is None as long as it must not."""

    bad: BadRecords | None


_skipping = False


@contextmanager
def skipping(enabled: bool) -> Iterator[None]:
    """Lets sources that are opened within the block skip bad records, if `enabled`: a flag of the whole command."""
    global _skipping  # noqa: PLW0603  the flag is global too
    before, _skipping = _skipping, enabled
    try:
        yield
    finally:
        _skipping = before


def told(error: DataError, source: object) -> str:
    """The message for an error of a source; if the source could skip the record, it says with which flag."""
    one = isinstance(error, BadRecord) and isinstance(source, Skips) and source.bad is None
    return f"{error}{'' if str(error).endswith('.') else '.'} {_REMEDY}" if one else str(error)


_REMEDY = (
    "caffe train -skip_bad_records (hpcbrew submit --skip-bad-records) goes on without such records, and counts them."
)


def allow(source: object, layer: str) -> None:
    """Lets a source skip bad records, if the user asked for it and the source can."""
    if _skipping and isinstance(source, Skips):
        source.bad = BadRecords(layer)
