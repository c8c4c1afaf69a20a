"""Ships data to a cluster's scratch: what is there is not sent again, what broke off goes on where it was.

An item lies in `data/DIGEST/`, which is there in full or not at all. On the way it is `data/DIGEST.MACHINE.part`, with
the digests of its files in it; only when they have been checked there does it get its name.
"""

import hashlib
import re
import shlex
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hpcbrew import full_disk, layout
from hpcbrew.errors import TransportError
from hpcbrew.file_lock import exclusive
from hpcbrew.job import Upload
from hpcbrew.transfer import disk_space, parts
from hpcbrew.transports import process
from hpcbrew.transports.base import OnBytes, Transport

SUMS = "SHA256SUMS"
SMALL = 2**20  # bytes below which files travel together
BATCH = 32 * 2**20
CHUNK = 32 * 2**20  # bytes of a large file that travel as one: sent in full or again
MUCH = 2**30  # bytes that a job writes for which the room there is asked for though nothing is sent
BLOCK = 2**12  # bytes that a file takes at least
STREAMS = 4  # chunks under way at once: a single one is held up by the line's round trips


class Chunk(NamedTuple):
    """A part of a file, in bytes."""

    start: int
    size: int


class Piece(NamedTuple):
    """A chunk of one file, and the file on the cluster that it becomes a part of."""

    source: Path
    target: PurePosixPath
    chunk: Chunk


@dataclass(frozen=True)
class Item:
    """Files that are sent and checked as one, into one folder below the cluster's scratch folder."""

    folder: PurePosixPath
    files: tuple[Upload, ...]

    @property
    def size(self) -> int:
        return sum(upload.size for upload in self.files)

    @property
    def by_name(self) -> dict[PurePosixPath, Upload]:
        """Each file by its name in the folder."""
        return {upload.target.relative_to(self.folder): upload for upload in self.files}

    @property
    def part(self) -> PurePosixPath:
        """The folder while it is on its way."""
        return self.folder.with_name(parts.name(self.folder.name))


def ship(
    uploads: Iterable[Upload],
    root: PurePosixPath,
    transport: Transport,
    on_bytes: OnBytes,
    warn: Callable[[str], object] = lambda words: None,
    written: int = 0,
) -> None:
    """Sends what is not there yet. `on_bytes` is told the bytes of each piece, sent or found there; `warn` of little
    room, before anything is sent: for that, and for the bytes that a job will have `written` there.

    Raises RequestError where there is too little room, and TransportError; whatever had arrived by then is kept for the
    next time.
    """
    missing, needed = _absent(uploads, root, transport, on_bytes)
    if missing or written > MUCH:
        room = disk_space.ask(transport, [str(root)]).get(str(root))
        if warning := disk_space.judge(needed if missing else None, str(root), room, written):
            warn(warning)
    for item in missing:
        with exclusive(item.folder.name) as waited:
            if waited and item.folder.name in transport.names(root / item.folder.parent):
                on_bytes(item.size)
            else:
                _send(item, root, transport, on_bytes)


def _absent(
    uploads: Iterable[Upload], root: PurePosixPath, transport: Transport, on_bytes: OnBytes
) -> tuple[list[Item], int]:
    """The items that are not there, and the bytes that they take beyond what has arrived of them."""
    groups = groupby(uploads, key=lambda upload: layout.item(upload.target))
    items = [Item(folder, tuple(files)) for folder, files in groups]
    if not items:
        return [], 0
    present = set(transport.names(root / items[0].folder.parent))
    on_bytes(sum(item.size for item in items if item.folder.name in present))
    missing = [item for item in items if item.folder.name not in present]
    if missing and any(name.endswith(parts.SUFFIX) for name in present):
        parts.sweep(transport, root / items[0].folder.parent, [item.part.name for item in missing])
    return missing, sum(_needed(item, root, transport, present) for item in missing)


def _needed(item: Item, root: PurePosixPath, transport: Transport, present: set[str]) -> int:
    """What an item takes there, in whole blocks, beyond what has arrived of it before."""
    arrived = transport.sizes(root / item.part) if item.part.name in present else {}
    sizes = (upload.size - min(upload.size, arrived.get(name, 0)) for name, upload in item.by_name.items())
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)


def _send(item: Item, root: PurePosixPath, transport: Transport, on_bytes: OnBytes) -> None:
    """Sends what has not arrived of an item, checks all of it there, and gives it its name."""
    part, final = root / item.part, root / item.folder
    if SUMS not in transport.names(part):
        sums = "".join(f"{_escaped(name)}{u.sha256}  {_plain(name)}\n" for name, u in item.by_name.items())
        transport.make_folder(part, {PurePosixPath(SUMS): sums.encode()})
    _send_files(item, part, transport, on_bytes)
    idle_timeout = process.read_timeout(item.size)
    checked = transport.run(["sha256sum", "--check", "--quiet", SUMS], part, idempotent=True, idle_timeout=idle_timeout)
    if checked.status != 0:
        transport.remove_folder(part)
        raise TransportError(f"{final}: did not arrive as it was sent, and was taken away again: {checked.words}")
    moved = transport.run(["mv", "-T", "--", str(part), str(final)], root, idempotent=True)
    if moved.status != 0 and final.name not in transport.names(final.parent):
        raise TransportError(f"{final}: {moved.words}{full_disk.remedy(moved.words)}")


def _send_files(item: Item, part: PurePosixPath, transport: Transport, on_bytes: OnBytes) -> None:
    """Small files travel many at a time, large ones in chunks."""
    arrived = transport.sizes(part)
    small: dict[PurePosixPath, bytes] = {}
    pieces: list[Piece] = []
    for name, upload in item.by_name.items():
        assert upload.source is not None, name
        if upload.size >= SMALL:
            missing = _missing(upload.source, upload.size, part / name, name in arrived, transport)
            on_bytes(upload.size - sum(chunk.size for chunk in missing))
            pieces += [Piece(upload.source, part / name, chunk) for chunk in missing]
        elif arrived.get(name) == upload.size:
            on_bytes(upload.size)
        else:
            small[name] = upload.source.read_bytes()
            if sum(map(len, small.values())) > BATCH:
                _flush(small, part, transport, on_bytes)
    _flush(small, part, transport, on_bytes)
    _send_pieces(pieces, transport, on_bytes)


def _send_pieces(pieces: list[Piece], transport: Transport, on_bytes: OnBytes) -> None:
    stopped = threading.Event()

    def told(count: int) -> None:
        if stopped.is_set():
            raise InterruptedError
        on_bytes(count)

    with ThreadPoolExecutor(STREAMS) as streams:
        sent = [streams.submit(transport.write, p.source, p.target, *p.chunk, told) for p in pieces]
        try:
            for each in sent:
                each.result()
        except BaseException:  # Ctrl-C as well: what is under way stops at its next piece, what waits is not begun
            stopped.set()
            streams.shutdown(wait=False, cancel_futures=True)
            raise


def _missing(source: Path, size: int, target: PurePosixPath, begun: bool, transport: Transport) -> list[Chunk]:
    """The chunks of a large file that are still to be sent: of one that broke off, those whose digests differ."""
    chunks = [Chunk(start, min(CHUNK, size - start)) for start in range(0, size, CHUNK)]
    if not begun:
        return chunks
    name = shlex.quote(target.name)
    command = (
        f"i=0; while [ $i -lt {len(chunks)} ]; do "
        f"dd if={name} bs={CHUNK} skip=$i count=1 iflag=fullblock status=none | sha256sum; i=$((i + 1)); done"
    )
    answer = transport.run(["sh", "-c", command], target.parent, idempotent=True)
    remote = [line.partition(" ")[0] for line in answer.out.splitlines()]
    if answer.status != 0 or len(remote) != len(chunks):
        raise TransportError(f"{target}: cannot be read: {answer.words}")
    with source.open("rb") as file:
        local = [hashlib.sha256(file.read(chunk.size)).hexdigest() for chunk in chunks]
    return [chunk for chunk, digest, found in zip(chunks, local, remote, strict=True) if digest != found]


def _flush(small: dict[PurePosixPath, bytes], part: PurePosixPath, transport: Transport, on_bytes: OnBytes) -> None:
    if small:
        transport.add_files(part, small)
        on_bytes(sum(map(len, small.values())))
        small.clear()


def _plain(name: PurePosixPath) -> str:
    return str(name).replace("\\", "\\\\").replace("\n", "\\n")


def _escaped(name: PurePosixPath) -> str:
    """sha256sum marks a line whose name holds a backslash or a line break."""
    return "\\" if re.search(r"[\\\n]", str(name)) else ""
