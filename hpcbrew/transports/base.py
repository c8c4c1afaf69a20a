"""The interface of all transports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from engine.units import short_size
from hpcbrew.command_result import CommandResult

OnBytes = Callable[[int], object]
"""Called with the bytes of each piece that has moved, and with a negative number if some have to be moved again."""


@dataclass(frozen=True)
class FilePart:
    """`size` is that of the whole file, in bytes; `version` changes when the file is replaced or grows."""

    version: str
    size: int
    data: bytes


RECORD = 2**20
"""The most bytes of a small file: a larger one is not a record, and should not be read together with many others."""


@dataclass(frozen=True)
class NoRecord:
    """Stands for the contents of a small file if something of that name exists but is not read; `reason` says why not.
    `large`: it is a file larger than `RECORD`."""

    reason: str
    large: bool = False


NO_FILE, NOT_READABLE = NoRecord("is not a regular file"), NoRecord("is not readable for you")


def too_large(size: int) -> NoRecord:
    """Returns the NoRecord for a file of `size` bytes, which is too large."""
    return NoRecord(f"holds {short_size(size)}, but such a record has no more than {short_size(RECORD)}", large=True)


Contents = bytes | NoRecord | None
"""The contents of a small file; None if there is no such file."""


class FileReader(Protocol):
    """Reads parts of files, one after another, for one thread. It keeps a session open until `close`, and may be used
    again after that. Raises TransportError, which is `retryable` after a cut."""

    def read(self, path: PurePosixPath, start: int, size: int, unless: str = "") -> FilePart | None:
        """Returns at most `size` bytes of a regular file from byte `start`, and no bytes if its version is `unless`.

        None if there is no such file.
        """

    def close(self) -> None:
        """Ends the session."""


class Transport(Protocol):
    """All paths are absolute. Each method raises TransportError if it could not do its work; but a command that ran and
    failed is a CommandResult."""

    def root(self, pattern: str) -> PurePosixPath:
        """Returns the folder that a profile's `scratch` stands for."""

    def run(
        self,
        command: Sequence[str],
        folder: PurePosixPath,
        *,
        idempotent: bool = False,
        idle_timeout: float | None = None,
    ) -> CommandResult:
        """Runs a command in a folder, without input; `idempotent`: it may be run again after a cut.

        If there is no such command, the exit status is 127, as a shell's. A command that is silent for `idle_timeout`
        seconds (None: the usual limit) is given up and, as far as possible, terminated; then Unanswered is raised. The
        other methods that talk to a cluster behave in the same way.
        """

    def make_folder(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        """Makes a folder that contains these files, named relative to it: all of them or none."""

    def remove_folder(self, folder: PurePosixPath) -> None:
        """Removes a folder that `make_folder` made."""

    def read(self, path: PurePosixPath, start: int = 0, size: int | None = None) -> bytes | None:
        """Returns at most `size` bytes of a file from byte `start`; None if there is no such file."""

    def reader(self) -> FileReader:
        """Returns a reader for files that are read repeatedly as they grow, or in many parts."""

    def read_all(self, paths: Sequence[PurePosixPath]) -> list[Contents]:
        """Reads several small files in one round trip."""

    def add_files(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        """Puts files into an existing folder, replacing those of the same names."""

    def write(self, source: Path, target: PurePosixPath, start: int, size: int, on_bytes: OnBytes) -> None:
        """Sends `size` bytes of a file from byte `start` to the same position in `target`.

        May be called by several threads at once.
        """

    def sizes(self, folder: PurePosixPath) -> dict[PurePosixPath, int]:
        """Returns the sizes, in bytes, of all files below a folder, by relative path; empty if there is no such
        folder."""

    def names(self, folder: PurePosixPath) -> list[str]:
        """Returns the names in a folder; empty if there is no such folder."""
