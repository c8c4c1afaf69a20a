"""Uploads data to a cluster's scratch: what is there is not sent again, and interrupted uploads continue.

An item is in `data/DIGEST/`, which is complete whenever it exists. While being sent it is `data/DIGEST.MACHINE.part`,
which contains the digests of its files; it is renamed only after these have been checked there.
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
SMALL = 2**20  # bytes below which files are sent together
BATCH = 32 * 2**20
CHUNK = 32 * 2**20  # bytes of a large file that are sent as one: completely or again
MUCH = 2**30  # bytes written by a job from which the space there is checked even if nothing is sent
BLOCK = 2**12  # the least bytes that a file takes on disk
STREAMS = 4  # chunks sent at once: a single one would be limited by round-trip times


class Chunk(NamedTuple):
    """A part of a file, in bytes."""

    start: int
    size: int


class Piece(NamedTuple):
    """A chunk of one file, and the file on the cluster to which it belongs."""

    source: Path
    target: PurePosixPath
    chunk: Chunk


@dataclass(frozen=True)
class Item:
    """Files that are sent and checked together, into one folder below the cluster's scratch folder."""

    folder: PurePosixPath
    files: tuple[Upload, ...]

    @property
    def size(self) -> int:
        return sum(upload.size for upload in self.files)

    @property
    def by_name(self) -> dict[PurePosixPath, Upload]:
        """The files by their names in the folder."""
        return {upload.target.relative_to(self.folder): upload for upload in self.files}

    @property
    def part(self) -> PurePosixPath:
        """The folder while it is being sent."""
        return self.folder.with_name(parts.name(self.folder.name))


def ship(
    uploads: Iterable[Upload],
    root: PurePosixPath,
    transport: Transport,
    on_bytes: OnBytes,
    warn: Callable[[str], object] = lambda words: None,
    job_bytes: int = 0,
) -> None:
    """Sends what is not there yet. Calls `on_bytes` with the bytes of each piece, whether sent or found there, and
    `warn`, before anything is sent, if there is little space for the data and for the `job_bytes` that
    the job will write.

    Raises RequestError if there is too little space, and TransportError; whatever has arrived by then is kept for the
    next time.
    """
    missing_items, data_bytes = _absent(uploads, root, transport, on_bytes)
    if missing_items or job_bytes > MUCH:
        room = disk_space.ask(transport, [str(root)]).get(str(root))
        if warning := disk_space.judge(data_bytes if missing_items else None, str(root), room, job_bytes):
            warn(warning)
    for item in missing_items:
        with exclusive(item.folder.name) as waited:
            if waited and item.folder.name in transport.names(root / item.folder.parent):
                on_bytes(item.size)
            else:
                _send(item, root, transport, on_bytes)


def _absent(
    uploads: Iterable[Upload], root: PurePosixPath, transport: Transport, on_bytes: OnBytes
) -> tuple[list[Item], int]:
    """Returns the items that are not there, and the bytes that they take beyond what has arrived of them."""
    groups = groupby(uploads, key=lambda upload: layout.item(upload.target))
    items = [Item(folder, tuple(files)) for folder, files in groups]
    if not items:
        return [], 0
    names_there = set(transport.names(root / items[0].folder.parent))
    on_bytes(sum(item.size for item in items if item.folder.name in names_there))
    missing_items = [item for item in items if item.folder.name not in names_there]
    if missing_items and any(name.endswith(parts.SUFFIX) for name in names_there):
        parts.sweep(transport, root / items[0].folder.parent, [item.part.name for item in missing_items])
    return missing_items, sum(_needed(item, root, transport, names_there) for item in missing_items)


def _needed(item: Item, root: PurePosixPath, transport: Transport, names_there: set[str]) -> int:
    """Returns the bytes that an item takes there, in whole blocks, beyond what has already arrived of it."""
    sizes_there = transport.sizes(root / item.part) if item.part.name in names_there else {}
    sizes = (upload.size - min(upload.size, sizes_there.get(name, 0)) for name, upload in item.by_name.items())
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)


def _send(item: Item, root: PurePosixPath, transport: Transport, on_bytes: OnBytes) -> None:
    """Sends what has not arrived of an item, checks all of it there, and gives it its final name."""
    part, final = root / item.part, root / item.folder
    if SUMS not in transport.names(part):
        sums = "".join(f"{_escaped(name)}{u.sha256}  {_plain(name)}\n" for name, u in item.by_name.items())
        transport.make_folder(part, {PurePosixPath(SUMS): sums.encode()})
    _send_files(item, part, transport, on_bytes)
    idle_timeout = process.read_timeout(item.size)
    check = transport.run(["sha256sum", "--check", "--quiet", SUMS], part, idempotent=True, idle_timeout=idle_timeout)
    if check.status != 0:
        transport.remove_folder(part)
        raise TransportError(f"{final}: was damaged on the way, and was removed: {check.words}")
    move = transport.run(["mv", "-T", "--", str(part), str(final)], root, idempotent=True)
    if move.status != 0 and final.name not in transport.names(final.parent):
        raise TransportError(f"{final}: {move.words}{full_disk.remedy(move.words)}")


def _send_files(item: Item, part: PurePosixPath, transport: Transport, on_bytes: OnBytes) -> None:
    """Sends small files many at a time, and large ones in chunks."""
    sizes_there = transport.sizes(part)
    small: dict[PurePosixPath, bytes] = {}
    pieces: list[Piece] = []
    for name, upload in item.by_name.items():
        assert upload.source is not None, name
        if upload.size >= SMALL:
            missing = _missing(upload.source, upload.size, part / name, name in sizes_there, transport)
            on_bytes(upload.size - sum(chunk.size for chunk in missing))
            pieces += [Piece(upload.source, part / name, chunk) for chunk in missing]
        elif sizes_there.get(name) == upload.size:
            on_bytes(upload.size)
        else:
            small[name] = upload.source.read_bytes()
            if sum(map(len, small.values())) > BATCH:
                _flush(small, part, transport, on_bytes)
    _flush(small, part, transport, on_bytes)
    _send_pieces(pieces, transport, on_bytes)


def _send_pieces(pieces: list[Piece], transport: Transport, on_bytes: OnBytes) -> None:
    stopped = threading.Event()

    def on_piece(count: int) -> None:
        if stopped.is_set():
            raise InterruptedError
        on_bytes(count)

    with ThreadPoolExecutor(STREAMS) as streams:
        futures = [streams.submit(transport.write, p.source, p.target, *p.chunk, on_piece) for p in pieces]
        try:
            for each in futures:
                each.result()
        except BaseException:  # Ctrl-C too: running transfers stop at their next piece, waiting ones do not start
            stopped.set()
            streams.shutdown(wait=False, cancel_futures=True)
            raise


def _missing(source: Path, size: int, target: PurePosixPath, begun: bool, transport: Transport) -> list[Chunk]:
    """Returns the chunks of a large file that must still be sent: if it was interrupted, those whose digests differ."""
    chunks = [Chunk(start, min(CHUNK, size - start)) for start in range(0, size, CHUNK)]
    if not begun:
        return chunks
    name = shlex.quote(target.name)
    command = (
        f"i=0; while [ $i -lt {len(chunks)} ]; do "
        f"dd if={name} bs={CHUNK} skip=$i count=1 iflag=fullblock status=none | sha256sum; i=$((i + 1)); done"
    )
    answer = transport.run(["sh", "-c", command], target.parent, idempotent=True)
    remote_digests = [line.partition(" ")[0] for line in answer.out.splitlines()]
    if answer.status != 0 or len(remote_digests) != len(chunks):
        raise TransportError(f"{target}: cannot be read: {answer.words}")
    with source.open("rb") as file:
        local_digests = [hashlib.sha256(file.read(chunk.size)).hexdigest() for chunk in chunks]
    return [
        chunk
        for chunk, digest, remote_digest in zip(chunks, local_digests, remote_digests, strict=True)
        if digest != remote_digest
    ]


def _flush(small: dict[PurePosixPath, bytes], part: PurePosixPath, transport: Transport, on_bytes: OnBytes) -> None:
    if small:
        transport.add_files(part, small)
        on_bytes(sum(map(len, small.values())))
        small.clear()


def _plain(name: PurePosixPath) -> str:
    return str(name).replace("\\", "\\\\").replace("\n", "\\n")


def _escaped(name: PurePosixPath) -> str:
    """Returns sha256sum's mark for a line whose name contains a backslash or a line break."""
    return "\\" if re.search(r"[\\\n]", str(name)) else ""
