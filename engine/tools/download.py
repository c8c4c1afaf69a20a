"""Fetches a file from the network or from a mirror's folder. It gets its name only once it is complete and checked.

What arrived before a connection broke off is kept beside it, in .NAME.part, and the next attempt resumes from there.
"""

import fcntl
import hashlib
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, BinaryIO

from engine import log
from engine.errors import DataError
from engine.host import atomic_file, regular_file
from engine.tools import front_matter, progress
from engine.units import short_size

LARGEST = regular_file.LARGEST
"""Bytes: the largest possible .caffemodel."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""
WINDOW, LEAST = 60.0, 1 << 14
"""Seconds, and the bytes that must arrive in each such period."""
ATTEMPTS = 5
"""How many times in a row a connection may break off without delivering anything new."""
PIECE = 1 << 18


@dataclass(frozen=True)
class _Source:
    """Where a file comes from. `has_digest`: there is one to verify it with. `largest`: an upper bound of its bytes."""

    place: str | Path
    has_digest: bool
    largest: int


class _BrokenOffError(Exception):
    """The connection broke off. The bytes received so far are intact."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server's redirects, but to plain HTTP only if there is a digest to verify the bytes."""

    def __init__(self, has_digest: bool) -> None:
        self._has_digest = has_digest

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        problem = front_matter.wrong_url(newurl) or ("" if self._has_digest else unsafe(newurl))
        if problem:
            raise DataError(f"{req.full_url}: the server redirects to {newurl}: {problem}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def unsafe(url: str) -> str:
    """Why a download from there cannot be trusted when no SHA-1 is known; "" if TLS vouches for the server."""
    if url.startswith("https://"):
        return ""
    return "without TLS or a SHA-1 it cannot be verified: add the line `sha1: …`, or name an https:// address."


def fetch(
    source: str | Path,
    path: Path,
    sha1: str = "",
    check: Callable[[Path], object] | None = None,
    *,
    has_digest: bool = False,
    largest: int = LARGEST,
) -> str:
    """Fetches `source`, a URL or a file, to `path`, and returns its SHA-1.

    `sha1`: what the file's SHA-1 must be. `check` examines the complete file before it gets its name; `has_digest` says
    that it compares a digest. With a `sha1` or `has_digest`, an earlier partial download is resumed; without either,
    the URL must use TLS. `largest`: an upper bound of the file's bytes. Proxies are taken from the environment
    (https_proxy, http_proxy, no_proxy). Raises DataError, and what `check` raises.
    """
    has_digest = has_digest or bool(sha1)
    if isinstance(source, str) and (
        problem := front_matter.wrong_url(source) or ("" if has_digest else unsafe(source))
    ):
        raise DataError(f"{source}: {problem}")
    part = path.with_name(f".{path.name}.part")
    with atomic_file.writing(part, DataError), part.open("a+b") as file:
        _lock(file, part, path)
        resumable = has_digest and isinstance(source, str)
        if not resumable:
            file.truncate(0)
        log.info("download", f"Fetching {source}")
        place = _Source(source, has_digest, largest)
        try:
            begun = file.seek(0, os.SEEK_END)
            _fill(place, file)
            resumable = False
            try:
                sha = _checked(place, path, file, sha1, check)
            except DataError:
                if not begun:
                    raise
                file.truncate(0)  # the earlier part may belong to another file
                _fill(place, file)
                sha = _checked(place, path, file, sha1, check)
        except BaseException as e:
            size = file.seek(0, os.SEEK_END)
            if not resumable or not size:
                part.unlink()
            elif isinstance(e, DataError):
                raise DataError(f"{e} {short_size(size)} of it are kept: try again to resume.") from e
            raise
        os.fsync(file.fileno())
        part.replace(path)
        atomic_file.sync_folder(path.parent)
    return sha


def _sha1() -> "hashlib._Hash":
    return hashlib.sha1(usedforsecurity=False)


def digest(path: Path, kind: str | Callable[[], "hashlib._Hash"] = _sha1) -> str:
    """The SHA-1 of a file, or its digest of another `kind`. Raises DataError if it cannot be read."""
    try:
        with regular_file.opened(path) as (descriptor, _), open(descriptor, "rb", closefd=False) as file:
            return hashlib.file_digest(file, kind).hexdigest()
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror or e}.") from e


def _lock(file: BinaryIO, part: Path, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), part.stat()):
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise DataError(f"{path}: another process is already fetching it.")


def _checked(source: _Source, path: Path, file: BinaryIO, sha1: str, check: Callable[[Path], object] | None) -> str:
    """The digest of the complete `file`, which will become `path`. Raises DataError if it is not the expected one."""
    found = _digest(file)
    if sha1 and found != sha1.lower():
        raise DataError(
            f"{path}: refused: the file from {source.place} has the SHA-1 {found}, not {sha1.lower()} as expected. It "
            "is another file, or the expected SHA-1 is wrong."
        )
    if check is not None:
        check(Path(file.name))
    return found


def _digest(file: BinaryIO) -> str:
    file.flush()
    file.seek(0)
    return hashlib.file_digest(file, _sha1).hexdigest()  # type: ignore[arg-type]  # a buffered file has readinto


def _fill(source: _Source, file: BinaryIO) -> None:
    if isinstance(source.place, Path):
        _copy(source.place, file, source.largest)
        return
    opener = urllib.request.build_opener(_Redirects(source.has_digest))
    attempts = ATTEMPTS
    while attempts:
        before = file.seek(0, os.SEEK_END)
        try:
            _receive(opener, source.place, file, source.largest)
            return
        except _BrokenOffError as e:
            attempts = attempts - 1 if file.seek(0, os.SEEK_END) <= before else ATTEMPTS
            failure = e
    raise DataError(f"{source.place}: {failure}.")


def _copy(source: Path, file: BinaryIO, largest: int) -> None:
    try:
        regular_file.check(source)
        origin = source.open("rb")
    except OSError as e:
        raise DataError(f"{source}: cannot be read: {e.strerror or e}.") from e
    with origin:
        size = os.fstat(origin.fileno()).st_size
        _check_size(size, largest, source)
        _write(file, _limited(iter(lambda: origin.read(PIECE), b""), 0, largest, source), 0, size, source)


def _receive(opener: urllib.request.OpenerDirector, url: str, file: BinaryIO, largest: int) -> None:
    """Appends the rest of the file, or rewrites it if the server cannot resume. Raises DataError, _BrokenOffError."""
    begun = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "hpcbrew", "Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:  # noqa: S310
            if begun and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {begun}-"):
                file.truncate(0)
                begun = 0
            length = answer.headers.get("Content-Length") or ""
            total = begun + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
            _check_size(total or 0, largest, url)
            _write(file, _limited(_pieces(answer), begun, largest, url), begun, total, url)
            if total is not None and file.tell() < total:
                raise _BrokenOffError(f"the connection broke off after {file.tell():,} of {total:,} bytes")
    except urllib.error.HTTPError as e:
        if e.code == 416 and begun:
            match = re.fullmatch(r"bytes \*/([0-9]{1,18})", e.headers.get("Content-Range") or "")
            if not match or int(match[1]) != begun:
                file.truncate(0)
                raise _BrokenOffError("the partial download kept earlier does not belong to this file") from e
            return
        raise DataError(f"{url}: the server answers {e.code} {e.reason}.") from e
    except urllib.error.URLError as e:
        raise DataError(f"{url}: {_reason(e)}") from e
    except (HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as e:
        raise _BrokenOffError(f"the connection broke off: {e or type(e).__name__}") from e


def _reason(error: urllib.error.URLError) -> str:
    if isinstance(error.reason, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.reason.verify_message}. Set SSL_CERT_FILE to a file of trusted "
            "certificates."
        )
    return (
        f"cannot be reached: {error.reason}. Proxies are taken from https_proxy and http_proxy; --mirror DIR takes the "
        "file from a folder."
    )


def _pieces(answer: IO[bytes]) -> Iterator[bytes]:
    """The answer, piece by piece as it arrives. Raises _BrokenOffError if it arrives slower than LEAST per WINDOW."""
    since, came = time.monotonic(), 0
    while piece := answer.read1(PIECE):  # type: ignore[attr-defined]  # HTTPResponse's
        yield piece
        came += len(piece)
        if (now := time.monotonic()) - since > WINDOW:
            if came < LEAST:
                raise _BrokenOffError(f"{came} bytes came in {WINDOW:.0f} seconds")
            since, came = now, 0


def _limited(pieces: Iterator[bytes], begun: int, largest: int, source: str | Path) -> Iterator[bytes]:
    """The pieces, which follow the first `begun` bytes. Raises DataError once there are more than `largest` bytes."""
    for piece in pieces:
        begun += len(piece)
        _check_size(begun, largest, source)
        yield piece


def _write(file: BinaryIO, pieces: Iterator[bytes], begun: int, total: int | None, source: str | Path) -> None:
    """Appends the pieces to the file, which already has `begun` of `total` bytes."""
    free = shutil.disk_usage(Path(file.name).parent).free
    if total is not None and total - begun > free:
        raise DataError(
            f"{source}: has {short_size(total)}, but the disk of {Path(file.name).parent} has only "
            f"{short_size(free)} free."
        )
    with progress.of_bytes(total, begun) as advance:
        for piece in pieces:
            file.write(piece)
            advance(len(piece))


def _check_size(size: int, largest: int, source: str | Path) -> None:
    if size > largest:
        raise DataError(f"{source}: has more than {largest:,} bytes, so it cannot be the file to be fetched.")
