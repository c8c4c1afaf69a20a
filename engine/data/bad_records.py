"""Bad records skipped and counted, where that is asked for; everywhere else the first ends the run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from engine import log
from engine.data.label_bounds import LabelBounds
from engine.errors import BadRecord, DataError


class BadRecords:
    """Those that a layer's source skips: told of at once, and how many there were at the end.

    `bounds`: what the labels in a top may be (`Net.label_bounds`), once known; a record with another one is bad, too.
    """

    def __init__(self, layer: str) -> None:
        self.count = 0
        self.bounds: Mapping[str, Sequence[LabelBounds]] = {}
        self._layer = layer
        self._told: set[int] = set()

    def skip(self, error: BadRecord) -> None:
        """A record is left out; `error` names it and says why. In later rounds it is told of and counted no more."""
        if hash(str(error)) in self._told:
            return
        self._told.add(hash(str(error)))
        self.count += 1
        log.warning("data_layer.cpp:62", f'layer "{self._layer}": skipped a bad record: {error}')

    def sum_up(self) -> None:
        """Tells how many there were; once they are no more."""
        if self.count:
            records = "1 bad record was" if self.count == 1 else f"{self.count:,} bad records were"
            log.warning("data_layer.cpp:62", f'layer "{self._layer}": {records} skipped in all.')


class GoodNumbers:
    """Of numbered records, those that are not known to be bad: the next of them stands in for a bad one."""

    def __init__(self, count: int, records: str) -> None:
        """records: what they are, for a message that none of them can be used."""
        self._count, self._records = count, records
        self._bad: set[int] = set()

    def from_(self, number: int) -> int:
        """The number, or the first behind it, round and round, that is good. Raises DataError where none is left."""
        if len(self._bad) == self._count:
            raise DataError(f"None of {self._records} can be used.")
        while number in self._bad:
            number = (number + 1) % self._count
        return number

    def leave_out(self, number: int) -> bool:
        """Notes a bad one. False where it is known already."""
        known = number in self._bad
        self._bad.add(number)
        return not known


@runtime_checkable
class Skips(Protocol):
    """A source that can do without a bad record: `bad` is None as long as it must not."""

    bad: BadRecords | None


_skipping = False


@contextmanager
def skipping(asked: bool) -> Iterator[None]:
    """Sources opened meanwhile skip bad records, if `asked`: a flag of the whole command."""
    global _skipping  # noqa: PLW0603  as the flag itself
    before, _skipping = _skipping, asked
    try:
        yield
    finally:
        _skipping = before


def told(error: DataError, source: object) -> str:
    """What is said of an error of a source: where it can go on without the record, with what would make it do so."""
    one = isinstance(error, BadRecord) and isinstance(source, Skips) and source.bad is None
    return f"{error}{'' if str(error).endswith('.') else '.'} {_REMEDY}" if one else str(error)


_REMEDY = (
    "caffe train -skip_bad_records (hpcbrew submit --skip-bad-records) goes on without such records, and counts them."
)


def allow(source: object, layer: str) -> None:
    """Lets a source skip, where that is asked for and it can."""
    if _skipping and isinstance(source, Skips):
        source.bad = BadRecords(layer)
