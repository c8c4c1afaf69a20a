"""A file from the network or from a mirror's folder: whole, checked and under its name, or not there at all.

What has come before a connection broke off lies beside it, in .NAME.part, and is gone on with.
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
"""Bytes: no .caffemodel can have more."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""
WINDOW, LEAST = 60.0, 1 << 14
"""So many bytes must come in so many seconds."""
ATTEMPTS = 5
"""How often a connection may break off with nothing new, one time after the other."""
PIECE = 1 << 18


@dataclass(frozen=True)
class _Source:
    """Where a file is from. `known`: something shows whether what comes is it. `largest`: bytes, more than it has."""

    place: str | Path
    known: bool
    largest: int


class _BrokenOffError(Exception):
    """The connection did. What has come is whole."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address, but not off TLS where nothing else shows what the bytes are."""

    def __init__(self, known: bool) -> None:
        self._known = known

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        problem = front_matter.wrong_url(newurl) or ("" if self._known else unsafe(newurl))
        if problem:
            raise DataError(f"{req.full_url}: the server sends on to {newurl}: {problem}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def unsafe(url: str) -> str:
    """Why bytes from there may be anybody's, where no SHA-1 is known; "" where TLS says whose they are."""
    if url.startswith("https://"):
        return ""
    return "without TLS and without a SHA-1 it may be anything: add the line `sha1: …`, or name an https:// address."


def fetch(
    source: str | Path,
    path: Path,
    sha1: str = "",
    check: Callable[[Path], object] | None = None,
    *,
    known: bool = False,
    largest: int = LARGEST,
) -> str:
    """Brings `source`, an address or a file, to `path`, and returns the SHA-1 of what came.

    `check` looks at the whole file before it gets its name; `known`: it has a digest to compare with. With that or a
    `sha1`, which what comes must have, what came before is gone on with; without both, the address must be one of TLS.
    `largest`: bytes, more than the file has. Proxies are those of the environment (https_proxy, http_proxy, no_proxy).
    Raises DataError, and what `check` raises.
    """
    known = known or bool(sha1)
    if isinstance(source, str) and (problem := front_matter.wrong_url(source) or ("" if known else unsafe(source))):
        raise DataError(f"{source}: {problem}")
    part = path.with_name(f".{path.name}.part")
    with atomic_file.writing(part, DataError), part.open("a+b") as file:
        _alone(file, part, path)
        kept = known and isinstance(source, str)
        if not kept:
            file.truncate(0)
        log.info("download", f"Fetching {source}")
        place = _Source(source, known, largest)
        try:
            begun = file.seek(0, os.SEEK_END)
            _fill(place, file)
            kept = False
            try:
                found = _checked(place, path, file, sha1, check)
            except DataError:
                if not begun:
                    raise
                file.truncate(0)  # what came before may have been of another file
                _fill(place, file)
                found = _checked(place, path, file, sha1, check)
        except BaseException as e:
            size = file.seek(0, os.SEEK_END)
            if not kept or not size:
                part.unlink()
            elif isinstance(e, DataError):
                raise DataError(f"{e} {short_size(size)} of it are kept, to go on from: try again.") from e
            raise
        os.fsync(file.fileno())
        part.replace(path)
        atomic_file.sync_folder(path.parent)
    return found


def _sha1() -> "hashlib._Hash":
    return hashlib.sha1(usedforsecurity=False)


def digest(path: Path, kind: str | Callable[[], "hashlib._Hash"] = _sha1) -> str:
    """The SHA-1 of a file, or its digest of another `kind`. Raises DataError where it cannot be read."""
    try:
        with regular_file.opened(path) as (descriptor, _), open(descriptor, "rb", closefd=False) as file:
            return hashlib.file_digest(file, kind).hexdigest()
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror or e}.") from e


def _alone(file: BinaryIO, part: Path, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), part.stat()):
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise DataError(f"{path}: is being fetched by another process already.")


def _checked(source: _Source, path: Path, file: BinaryIO, sha1: str, check: Callable[[Path], object] | None) -> str:
    """The digest of the whole `file`, which is to be `path`. Raises DataError where it is not what is asked for."""
    found = _digest(file)
    if sha1 and found != sha1.lower():
        raise DataError(
            f"{path}: refused: what {source.place} gave has the SHA-1 {found}, and {sha1.lower()} is asked for. It is "
            "another file, or the SHA-1 asked for is wrong."
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
    opener = urllib.request.build_opener(_Redirects(source.known))
    left = ATTEMPTS
    while left:
        before = file.seek(0, os.SEEK_END)
        try:
            _receive(opener, source.place, file, source.largest)
            return
        except _BrokenOffError as e:
            left = left - 1 if file.seek(0, os.SEEK_END) <= before else ATTEMPTS
            said = e
    raise DataError(f"{source.place}: {said}.")


def _copy(source: Path, file: BinaryIO, largest: int) -> None:
    try:
        regular_file.check(source)
        given = source.open("rb")
    except OSError as e:
        raise DataError(f"{source}: cannot be read: {e.strerror or e}.") from e
    with given:
        size = os.fstat(given.fileno()).st_size
        _check_size(size, largest, source)
        _write(file, _limited(iter(lambda: given.read(PIECE), b""), 0, largest, source), 0, size, source)


def _receive(opener: urllib.request.OpenerDirector, url: str, file: BinaryIO, largest: int) -> None:
    """Appends what the file lacks, or all of it where the server begins anew. Raises DataError, _BrokenOffError."""
    begun = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "hpcbrew", "Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:  # noqa: S310
            if begun and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {begun}-"):
                file.truncate(0)
                begun = 0
            length = answer.headers.get("Content-Length") or ""
            total = begun + int(length) if length.isdecimal() else None
            _check_size(total or 0, largest, url)
            _write(file, _limited(_pieces(answer), begun, largest, url), begun, total, url)
            if total is not None and file.tell() < total:
                raise _BrokenOffError(f"the connection broke off after {file.tell():,} of {total:,} bytes")
    except urllib.error.HTTPError as e:
        if e.code == 416 and begun:
            whole = re.fullmatch(r"bytes \*/(\d+)", e.headers.get("Content-Range") or "")
            if not whole or int(whole[1]) != begun:
                file.truncate(0)
                raise _BrokenOffError("what was kept is not of this file") from e
            return
        raise DataError(f"{url}: the server answers {e.code} {e.reason}.") from e
    except urllib.error.URLError as e:
        raise DataError(f"{url}: {_reason(e)}") from e
    except (HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as e:
        raise _BrokenOffError(f"the connection broke off: {e or type(e).__name__}") from e


def _reason(error: urllib.error.URLError) -> str:
    if isinstance(error.reason, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not to be trusted: {error.reason.verify_message}. SSL_CERT_FILE names a file of "
            "certificates that are."
        )
    return (
        f"cannot be reached: {error.reason}. Proxies are taken from https_proxy and http_proxy; --mirror DIR takes the "
        "file from a folder."
    )


def _pieces(answer: IO[bytes]) -> Iterator[bytes]:
    """What comes, as it comes. Raises _BrokenOffError where it comes too slowly to come to an end."""
    since, came = time.monotonic(), 0
    while piece := answer.read1(PIECE):  # type: ignore[attr-defined]  # HTTPResponse's
        yield piece
        came += len(piece)
        if (now := time.monotonic()) - since > WINDOW:
            if came < LEAST:
                raise _BrokenOffError(f"{came} bytes came in {WINDOW:.0f} seconds")
            since, came = now, 0


def _limited(pieces: Iterator[bytes], begun: int, largest: int, source: str | Path) -> Iterator[bytes]:
    """The pieces. Raises DataError where they are more than a file of `largest` bytes has behind its first `begun`."""
    for piece in pieces:
        begun += len(piece)
        _check_size(begun, largest, source)
        yield piece


def _write(file: BinaryIO, pieces: Iterator[bytes], begun: int, total: int | None, source: str | Path) -> None:
    """Appends the pieces to the file, which has `begun` bytes of `total`."""
    free = shutil.disk_usage(Path(file.name).parent).free
    if total is not None and total - begun > free:
        raise DataError(
            f"{source}: has {short_size(total)}, and the disk of {Path(file.name).parent} {short_size(free)}."
        )
    with progress.of_bytes(total, begun) as advance:
        for piece in pieces:
            file.write(piece)
            advance(len(piece))


def _check_size(size: int, largest: int, source: str | Path) -> None:
    if size > largest:
        raise DataError(f"{source}: has more than {largest:,} bytes, and the file to be fetched cannot.")
