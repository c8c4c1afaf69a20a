"""What every transport does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from engine.units import short_size
from hpcbrew.command_result import CommandResult

OnBytes = Callable[[int], object]
"""Is told the bytes of each piece that has moved, and a negative number where some have to be moved again."""


@dataclass(frozen=True)
class FilePart:
    """`size` is that of the whole file, in bytes; `version` is another where the file was replaced, or has grown."""

    version: str
    size: int
    data: bytes


RECORD = 2**20
"""Bytes of a small file: a larger one is no record, and no use to those who read many of them at once."""


@dataclass(frozen=True)
class NoRecord:
    """In place of what a small file holds: something is there by that name, and `why` it is not read. `large`: it is a
    file, and larger than `RECORD`."""

    why: str
    large: bool = False


NO_FILE, NOT_READABLE = NoRecord("is no regular file"), NoRecord("is not readable for you")


def too_large(size: int) -> NoRecord:
    """For a file of so many bytes."""
    return NoRecord(f"holds {short_size(size)}, and such a record has no more than {short_size(RECORD)}", large=True)


Contents = bytes | NoRecord | None
"""What a small file holds; None where there is no such file."""


class FileReader(Protocol):
    """Reads parts of files, one after the other, for one thread. It holds a session until it is closed; it may be used
    again then. Raises TransportError, `retryable` after a cut."""

    def read(self, path: PurePosixPath, start: int, size: int, unless: str = "") -> FilePart | None:
        """At most `size` bytes of a regular file from byte `start` on, none of one whose version is `unless`.

        None where there is no such file.
        """

    def close(self) -> None:
        """Lets the session go."""


class Transport(Protocol):
    """All paths are absolute. Each method raises TransportError for what it could not do, but not for a command that
    ran and failed: that is a CommandResult."""

    def root(self, pattern: str) -> PurePosixPath:
        """The folder that a profile's `scratch` stands for."""

    def run(
        self,
        command: Sequence[str],
        folder: PurePosixPath,
        *,
        idempotent: bool = False,
        idle_timeout: float | None = None,
    ) -> CommandResult:
        """Runs a command in a folder, with no input; `idempotent`: after a cut it may be run once more.

        One that has said nothing for `idle_timeout` seconds (None: for as long as most commands get) is given up and,
        as far as that can be, ended; then Unanswered is raised. The other methods that talk to a cluster do the same.
        """

    def make_folder(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        """Makes a folder that holds these files, named relative to it: all of them or none."""

    def remove_folder(self, folder: PurePosixPath) -> None:
        """Takes away a folder that `make_folder` made."""

    def read(self, path: PurePosixPath, start: int = 0, size: int | None = None) -> bytes | None:
        """What a file holds from byte `start` on, at most `size` bytes; None where there is no such file."""

    def reader(self) -> FileReader:
        """For what is read again and again, as it grows, or in many parts."""

    def read_all(self, paths: Sequence[PurePosixPath]) -> list[Contents]:
        """What several small files hold, in one round trip."""

    def add_files(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        """Puts files into a folder that is there; those of the same names are replaced."""

    def write(self, source: Path, target: PurePosixPath, start: int, size: int, on_bytes: OnBytes) -> None:
        """Sends `size` bytes of a file from byte `start` on, to the same place of `target`.

        Threads may do so at once.
        """

    def sizes(self, folder: PurePosixPath) -> dict[PurePosixPath, int]:
        """The files anywhere below a folder, relative to it, in bytes; none where there is no such folder."""

    def names(self, folder: PurePosixPath) -> list[str]:
        """The names in a folder; none where there is no such folder."""
