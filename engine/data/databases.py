"""The interfaces of Caffe's key-value databases, which are read in the order of their keys and written once.

Records are plain bytes: reading a database never runs code that its maker put there.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from engine.errors import DataError

ANNOTATED = b"\x0a"
"""The first byte of an AnnotatedDatum, whose first field is a message, a Datum; a Datum's first field is a number."""


class Database(Protocol):
    """Records sorted by key. `path` is for messages."""

    path: Path

    def records(self, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The (key, value) pairs after the key `after`, which must exist; all of them for None."""

    def keys(self, after: bytes | None = None) -> Iterator[bytes]:
        """The keys that `records` would yield; the values are not read."""

    def close(self) -> None: ...


class DatabaseWriter(Protocol):
    """Writes a new database, whole or not at all, in a `with` block. `path` exists once the block has succeeded.

    entries, last_key: how many records of the same database an earlier process, which was stopped, had written, and the
    last one's key (see PartialFolder).
    """

    path: Path
    entries: int
    last_key: bytes | None

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record. Keys must come in ascending order. Raises DataError if it cannot be written."""


def missing_key(path: Path, key: bytes) -> DataError:
    """The error for a resume position that the database does not have."""
    return DataError(
        f'{path} has no record "{name_key(key)}", where reading stopped. It is not the database that the snapshot was '
        "made with: restore that one, or start without its data position."
    )


def name_key(key: bytes) -> str:
    """A key as text for messages."""
    return key.decode("utf-8", "backslashreplace")
