"""Downloads a job's results: each file completely or not at all, and only those that are not here yet."""

import contextlib
import hashlib
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.host.atomic_file import replace
from engine.printable import printable
from hpcbrew import full_disk, layout
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.file_lock import busy, exclusive
from hpcbrew.hashing import file_sha256
from hpcbrew.job import NAME, JobRecord
from hpcbrew.transports import process
from hpcbrew.transports.base import OnBytes, Transport

PIECE = 8 * 2**20  # bytes of a large file that are requested at a time
OWNER = ".hpcbrew"  # a file in a folder here: the token of the job that was fetched into it
DIGEST = re.compile("[0-9a-f]{64}")
TOGETHER = 500  # the most files whose digests one command asks for, since its length is limited
SHA256 = 'sha256() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }; '
"""A shell function: macOS, from whose local queue results are fetched, may only have shasum, with the same output."""

LONGEST_NAME = 200
"""The most characters of a folder name that is made from settings."""


@dataclass(frozen=True)
class Fetched:
    """Where each file of the run folder is now, and which of them were here already."""

    places: Mapping[PurePosixPath, Path]
    unchanged: frozenset[PurePosixPath]


def default_folder(record: JobRecord) -> Path:
    """Returns the folder for results if none is named: one in the current folder with the job's name.

    Raises RequestError if that is not a plain name.
    """
    one_of_array = f"[{record.point}]" if record.point is not None else ""
    if not NAME.fullmatch(record.name.removesuffix(one_of_array)):
        raise RequestError(f"{record.name!r} is not a plain name for a folder: name one with --into")
    return Path(record.name)


def wanted(record: JobRecord, transport: Transport) -> dict[PurePosixPath, int]:
    """Returns the files of the run folder with their sizes: models, logs, metrics and the job's own description.

    Names that begin with a dot are not results: they may belong to a transfer, on either side. Raises TransportError if
    the folder is gone.
    """
    sizes = transport.sizes(record.run_folder)
    if not sizes:
        raise TransportError(f"{record.run_folder}: is empty or gone: there is nothing to fetch from {record.name}")
    return {
        name: size
        for name, size in sizes.items()
        if (len(name.parts) == 1 or name.parts[:1] in ((layout.SNAPSHOTS,), (layout.POINTS,)))
        and not any(part.startswith(".") and part != ".." for part in name.parts)
    }


def fetch(
    record: JobRecord,
    files: dict[PurePosixPath, int],
    transport: Transport,
    into: Path,
    on_bytes: OnBytes,
    say: Callable[[str], object] = lambda words: None,
    points: Sequence[Mapping[str, str]] = (),
) -> Fetched:
    """Fetches `files` of the job into the folder `into`, continuing interrupted downloads. If another process is
    fetching into it, calls `say` and waits for that. `points`: for a sweep, the points' settings, by which their
    folders are named.

    Raises RequestError if it would overwrite files that are not this job's, and TransportError; what has arrived by
    then is kept.
    """
    if odd := next((name for name in files if ".." in name.parts or name.is_absolute()), None):
        raise TransportError(f"{record.run_folder}: {odd}: this name leads out of the folder, and is not fetched")
    with _write_errors(into):
        work = f"fetch-{hashlib.sha256(os.fsencode(os.path.realpath(into))).hexdigest()[:32]}"
    if busy(work):
        say(f"another fetch into {into} is running on this machine: waiting for it to end")
    places = {name: into / _place(name, points) for name in files}
    with exclusive(work):
        return Fetched(places, _fetch(record, files, transport, into, places, on_bytes))


def _place(name: PurePosixPath, points: Sequence[Mapping[str, str]]) -> PurePosixPath:
    """Returns a file's place. Files of a sweep's point go into a folder named by its settings:
    `points/2,base_lr=0.1`."""
    number = int(name.parts[1]) if name.parts[0] == layout.POINTS and re.fullmatch("[0-9]{1,9}", name.parts[1]) else 0
    if not 0 < number <= len(points):
        return name
    settings = [f"{key}={value}" for key, value in points[number - 1].items()]
    folder = re.sub(r"[^\w.=+,-]+", "-", ",".join([str(number), *settings]), flags=re.ASCII)[:LONGEST_NAME]
    return PurePosixPath(layout.POINTS, folder, *name.parts[2:])


def _fetch(
    record: JobRecord,
    files: dict[PurePosixPath, int],
    transport: Transport,
    into: Path,
    places: Mapping[PurePosixPath, Path],
    on_bytes: OnBytes,
) -> frozenset[PurePosixPath]:
    """Fetches the files, and returns those that were here already."""
    with _write_errors(into):
        _claim(record, places, into)
        unchanged = _unchanged(record, files, transport, places)
    for name, size in files.items():
        if name in unchanged:
            on_bytes(size)
            continue
        with _write_errors(places[name]):
            places[name].parent.mkdir(parents=True, exist_ok=True)
            _fetch_file(record.run_folder / name, size, transport, places[name], on_bytes)
    return frozenset(unchanged)


@contextlib.contextmanager
def _write_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "Free some space on this machine, and fetch again: it continues where it was"
        advice = full_disk.remedy(error.strerror, remedy)
        raise TransportError(f"{target}: cannot be written: {error.strerror}{advice}") from None


def _claim(record: JobRecord, places: Mapping[PurePosixPath, Path], into: Path) -> None:
    """Claims a folder for one job, since the files of all jobs have the same names, and definitions those of the user's
    own. Raises RequestError if it has such files that were not fetched from this job."""
    owner = into / OWNER
    if owner.is_file() and owner.read_bytes() == record.token.encode():
        return
    if others := [printable(str(name), one_line=True) for name, path in places.items() if path.exists()]:
        raise RequestError(
            f"{into}: has {', '.join(others[:3])}{', …' if others[3:] else ''}, which were not fetched from this job, "
            "though it has files of these names. They are not changed: name another folder with --into"
        )
    into.mkdir(parents=True, exist_ok=True)
    replace(owner, record.token.encode())


def _unchanged(
    record: JobRecord, files: Mapping[PurePosixPath, int], transport: Transport, places: Mapping[PurePosixPath, Path]
) -> set[PurePosixPath]:
    """Returns the files that are here already with the same size and digest."""
    candidates = [name for name in files if places[name].is_file()]
    candidates = [name for name in candidates if places[name].stat().st_size == files[name]]
    unchanged: set[PurePosixPath] = set()
    for start in range(0, len(candidates), TOGETHER):
        batch = candidates[start : start + TOGETHER]
        idle_timeout = process.read_timeout(sum(files[name] for name in batch))
        command = ["sh", "-c", f'{SHA256}sha256 -- "$@"', "sha256sum", *map(str, batch)]
        answer = transport.run(command, record.run_folder, idempotent=True, idle_timeout=idle_timeout)
        # A name may contain other line separators; sha256sum escapes only \n, and starts that line with a backslash.
        digests = [line.removeprefix("\\").split(" ")[0] for line in answer.out.split("\n") if line]
        if answer.status != 0 or len(digests) != len(batch) or not all(map(DIGEST.fullmatch, digests)):
            raise TransportError(f"{record.run_folder}: the files' digests could not be read: {answer.words[:1000]}")
        unchanged |= {name for name, digest in zip(batch, digests, strict=True) if digest == file_sha256(places[name])}
    return unchanged


def _fetch_file(source: PurePosixPath, size: int, transport: Transport, target: Path, on_bytes: OnBytes) -> None:
    if size <= PIECE:
        data = transport.read(source, 0, size)  # it may have grown since
        if data is None:
            raise TransportError(f"{source}: disappeared while it was fetched")
        replace(target, data)
        if layout.mode(source) == 0o600:
            target.chmod(0o600)
        on_bytes(size)
        return
    part = target.with_name(f".{target.name}.part")
    with part.open("ab") as file:
        position = file.tell()
        if position > size:
            file.truncate(0)
            position = 0
        on_bytes(position)
        while position < size:
            data = transport.read(source, position, min(PIECE, size - position))
            if not data:
                raise TransportError(f"{source}: ended at {position} of {size} bytes while it was fetched")
            file.write(data)
            position += len(data)
            on_bytes(len(data))
        file.flush()
        os.fsync(file.fileno())
    _check(source, size, part, transport)
    part.replace(target)


def _check(source: PurePosixPath, size: int, part: Path, transport: Transport) -> None:
    """Compares the SHA-256 of the first `size` bytes on both sides: a log may have grown since."""
    command = f"{SHA256}head -c {size} -- {shlex.quote(str(source))} | sha256"
    answer = transport.run(
        ["sh", "-c", command], source.parent, idempotent=True, idle_timeout=process.read_timeout(size)
    )
    if answer.status != 0 or answer.err:
        raise TransportError(f"{source}: {answer.words}")
    if answer.out.split()[:1] != [file_sha256(part)]:
        part.unlink()
        raise TransportError(f"{source}: was damaged on the way, and the copy was removed: fetch it again")
