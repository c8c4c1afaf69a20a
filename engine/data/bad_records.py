"""Bad records skipped and counted, where that is asked for; everywhere else the first ends the run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from engine import log
from engine.data.label_bounds import LabelBounds
from engine.errors import DataError


class BadRecords:
    """Those that a layer's source skips: told of at once, and how many there were at the end.

    `bounds`: what the labels in a top may be (`Net.label_bounds`), once known; a record with another one is bad, too.
    """

    def __init__(self, layer: str) -> None:
        self.count = 0
        self.bounds: Mapping[str, Sequence[LabelBounds]] = {}
        self._layer = layer

    def skip(self, error: DataError) -> None:
        """A record is left out; `error` names it and says why."""
        self.count += 1
        log.warning("data_layer.cpp:62", f'layer "{self._layer}": skipped a bad record: {error}')

    def sum_up(self) -> None:
        """Tells how many there were; once they are no more."""
        if self.count:
            records = "1 bad record was" if self.count == 1 else f"{self.count:,} bad records were"
            log.warning("data_layer.cpp:62", f'layer "{self._layer}": {records} skipped in all.')


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


def allow(source: object, layer: str) -> None:
    """Lets a source skip, where that is asked for and it can."""
    if _skipping and isinstance(source, Skips):
        source.bad = BadRecords(layer)
