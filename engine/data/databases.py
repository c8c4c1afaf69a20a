"""Key-value databases of records, as Caffe has them: read in the order of their keys, written once.

A database never runs code of its maker: records are bytes.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from engine.errors import DataError

ANNOTATED = b"\x0a"
"""How an AnnotatedDatum begins: its first field is a Datum, and a Datum's first is a number."""


class Database(Protocol):
    """Records sorted by key. `path` is for messages."""

    path: Path

    def records(self, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The (key, value) pairs behind the key `after`, which must be there; from the first on for None."""

    def keys(self, after: bytes | None = None) -> Iterator[bytes]:
        """Their keys alone: the values are not read."""

    def close(self) -> None: ...


class DatabaseWriter(Protocol):
    """Writes a new database, whole or not at all, in a `with` block. `path` is there when the block has ended well.

    entries, last_key: what a process that was stopped had written of the same database (see PartialFolder).
    """

    path: Path
    entries: int
    last_key: bytes | None

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record. Keys come in their order. Raises DataError where it cannot be written."""


def missing_key(path: Path, key: bytes) -> DataError:
    """The error for a position that the database does not have."""
    return DataError(
        f'{path}: has no record "{name_key(key)}", where reading stopped. It is another database than the one of the '
        "snapshot: bring that one back, or start without its data position."
    )


def name_key(key: bytes) -> str:
    """A key as messages show it."""
    return key.decode("utf-8", "backslashreplace")
