"""The files of a data set, each from the first mirror that gives it whole."""

import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from engine import log
from engine.errors import DataError

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as dropped."""
PIECE = 1 << 20


@dataclass(frozen=True)
class Mirrors:
    """Where a data set's files are: `urls`, which their names are put behind. `largest`: bytes, more than any has.

    `tool`: which asks for them. `name`: of the data set, as messages call it.
    """

    tool: str
    name: str
    urls: Sequence[str]
    largest: int


def cache(name: str) -> Path:
    """The folder in the user's cache for the files of a data set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcbrew" / name


def fetch(folder: Path, files: Mapping[str, Callable[[Path], object]], mirrors: Mirrors) -> None:
    """Brings the files that `folder` lacks, or has damaged.

    `files`: for each name what raises DataError where the file is not whole. Raises DataError with what was said by
    each mirror.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"{folder}: cannot be made: {e.strerror}.") from e
    for name, check in files.items():
        if _whole(folder / name, check):
            continue
        said = []
        for url in mirrors.urls:
            try:
                _download(f"{url}{name}", folder / name, check, mirrors)
                break
            except DataError as e:
                said.append(f"  {e}")
        else:
            count = "file" if len(files) == 1 else f"{len(files)} files"
            raise DataError(
                "\n".join([f"{name} cannot be fetched:", *said])
                + f"\nWithout a way out (https_proxy?), copy the {count} here and use --from DIR."
            )


def _whole(path: Path, check: Callable[[Path], object]) -> bool:
    try:
        if path.is_file():
            check(path)
            return True
    except DataError:
        pass
    return False


def _download(url: str, path: Path, check: Callable[[Path], object], mirrors: Mirrors) -> None:
    log.info(mirrors.tool, f"Fetching {url}")
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(temporary)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, os.fdopen(descriptor, "wb") as file:  # noqa: S310
            _receive(answer, file, mirrors.largest)
            file.flush()
            os.fsync(file.fileno())
        try:
            check(part)
        except DataError as e:
            raise DataError(f"{url}: what came is not {mirrors.name}'s file: {e}") from e
        part.replace(path)
    except urllib.error.HTTPError as e:
        raise DataError(f"{url}: the server answers {e.code} {e.reason}.") from e
    except (OSError, HTTPException) as e:  # URLError is an OSError
        raise DataError(f"{url}: {getattr(e, 'reason', None) or e or type(e).__name__}") from e
    finally:
        part.unlink(missing_ok=True)


def _receive(answer: IO[bytes], file: IO[bytes], most: int) -> None:
    """Copies up to `most` bytes; what has more is no file of the data set, and the check says so."""
    while most > 0 and (piece := answer.read(min(PIECE, most))):
        file.write(piece)
        most -= len(piece)
