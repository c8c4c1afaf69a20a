"""Files that are written completely or not at all."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from engine.errors import EngineError


def replace(path: str | Path, data: bytes) -> None:
    """Writes `data` to a temporary file beside `path`, syncs it to disk, and renames it to `path`.

    Readers see the old file or the new one. If anything goes wrong, the old file stays and the temporary one is
    removed. A device or a pipe (`/dev/stdout`) is written to directly. Raises OSError.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(data)
        return
    target = _behind_links(path)
    if target.is_dir():  # refused before a temporary file is made beside it
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


def _behind_links(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    if target.is_symlink():  # realpath leaves only links to themselves
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def sync_folder(folder: Path) -> None:
    """Makes the renames in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writing(path: str | Path, error: type[EngineError]) -> Iterator[None]:
    """A context that turns an OSError inside into `error`, with the file and the reason."""
    try:
        yield
    except OSError as e:
        raise error(f"{path}: cannot be written: {e.strerror or e}.") from e
