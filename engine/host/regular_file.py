"""Reads whole files safely: a name from outside may be a pipe, a device, or a file larger than memory."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from engine.host import memory

LARGEST = 2**31 - 1
"""The most bytes of a file that is read whole; protobuf and OpenCV take no more."""


def read(path: str | Path, limit: int = LARGEST, *, pipes: bool = False) -> bytes:
    """The contents of `path`, a regular file of at most `limit` bytes.

    pipes: it may also be a pipe (`<(…)` in a shell). Raises OSError, whose strerror says what is wrong with the name,
    the kind of file or its size.
    """
    with opened(path) as (descriptor, status):
        _check(status, path, pipes)
        os.set_blocking(descriptor, True)
        most = min(limit, memory.limit())
        if status.st_size > most:
            raise _too_large(path, status.st_size, most)
        parts: list[bytes] = []
        remaining = most + 1
        while remaining and (part := os.read(descriptor, min(remaining, max(status.st_size + 1, 1 << 16)))):
            parts.append(part)
            remaining -= len(part)
    if not remaining:
        raise _too_large(path, most + 1, most)
    return b"".join(parts)


@contextmanager
def opened(path: str | PurePath) -> Iterator[tuple[int, os.stat_result]]:
    """Yields a file's non-blocking descriptor and its status. Raises OSError, also for an impossible name."""
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as e:
        raise _no_name(path, e) from e
    try:
        yield descriptor, os.fstat(descriptor)
    finally:
        os.close(descriptor)


def check(path: str | Path) -> None:
    """Raises OSError, like `read`, if `path` is no regular file; for libraries that open files by name themselves."""
    try:
        _check(os.stat(path), path)  # noqa: PTH116  Path raises ValueError for a zero byte, too
    except ValueError as e:
        raise _no_name(path, e) from e


def is_file(path: str | PurePath) -> bool:
    """Whether a file is there; also false for impossible names, and for places that may not be looked at."""
    return os.path.isfile(path)  # noqa: PTH113  Path's raises OSError for a name of more than 255 bytes


def is_folder(path: str | PurePath) -> bool:
    """Whether a folder is there; otherwise false, like `is_file`."""
    return os.path.isdir(path)  # noqa: PTH112


def exists(path: str | PurePath) -> bool:
    """Whether anything is there; otherwise false, like `is_file`."""
    return os.path.exists(path)  # noqa: PTH110


def _no_name(path: str | PurePath, error: ValueError) -> OSError:
    why = "its name holds a zero byte" if "\0" in str(path) else f"no file can have that name: {error}"
    return OSError(errno.EINVAL, why, str(path))


def _check(status: os.stat_result, path: str | Path, pipes: bool = False) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG or (pipes and kind == stat.S_IFIFO):
        return
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, "is a folder, but a file is needed", str(path))
    name = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}.get(kind, "a device")
    raise OSError(errno.EINVAL, f"is {name}, but a file is needed", str(path))


def _too_large(path: str | Path, size: int, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"has {size:,} bytes, but at most {limit:,} are read", str(path))
