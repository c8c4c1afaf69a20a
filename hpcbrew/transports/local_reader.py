"""Reads parts of files on this machine; only of regular files, since a pipe may block and a device may be endless."""

import os
import stat
from pathlib import PurePosixPath

from engine.host import regular_file
from hpcbrew.errors import TransportError
from hpcbrew.transports.base import NO_FILE, NOT_READABLE, RECORD, Contents, FilePart, too_large

PIECE = 2**20  # bytes read at a time


class LocalReader:
    """Opens the file anew for each part."""

    def read(self, path: PurePosixPath, start: int, size: int, unless: str = "") -> FilePart | None:
        """See `FileReader.read`."""
        return read_file(path, start, size, unless)

    def close(self) -> None: ...


def read_file(path: PurePosixPath, start: int, size: int | None, unless: str = "") -> FilePart | None:
    """As `FileReader.read`; without `size`, reads all that there is at this moment. Raises TransportError."""
    try:
        with regular_file.opened(path) as (descriptor, status):
            if not stat.S_ISREG(status.st_mode):
                raise TransportError(f"{path}: is not a regular file and is not read")
            version = f"{status.st_ino}:{status.st_mtime_ns}:{status.st_size}"
            count = max(status.st_size - start, 0) if size is None else size
            data = _pieces(descriptor, start, 0 if version == unless else count)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TransportError(f"{path}: {error.strerror}") from None
    return FilePart(version, status.st_size, data)


def _pieces(descriptor: int, start: int, size: int) -> bytes:
    """Reads `size` bytes, or up to the end; a single read may return fewer."""
    data = bytearray()
    while len(data) < size and (piece := os.pread(descriptor, min(size - len(data), PIECE), start + len(data))):
        data += piece
    return bytes(data)


def read_record(path: PurePosixPath) -> Contents:
    """Reads a small file."""
    try:
        with regular_file.opened(path) as (descriptor, status):
            if not stat.S_ISREG(status.st_mode):
                return NO_FILE
            data = _pieces(descriptor, 0, RECORD + 1)
            return data if len(data) <= RECORD else too_large(status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return NOT_READABLE
