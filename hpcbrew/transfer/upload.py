"""Ships data to a cluster's scratch: what is there is not sent again, what broke off goes on where it was.

An item lies in `data/DIGEST/`, which is there in full or not at all. On the way it is `data/DIGEST.MACHINE.part`, with
the digests of its files in it; only when they have been checked there does it get its name.
"""

import hashlib
import re
import shlex
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hpcbrew import full_disk, layout
from hpcbrew.errors import TransportError
from hpcbrew.file_lock import exclusive
from hpcbrew.job import Upload
from hpcbrew.transfer import disk_space
from hpcbrew.transports import process
from hpcbrew.transports.base import OnBytes, Transport

SUMS = "SHA256SUMS"
SMALL = 2**20  # bytes below which files travel together
BATCH = 32 * 2**20
CHUNK = 32 * 2**20  # bytes of a large file that travel as one: sent in full or again
BLOCK = 2**12  # bytes that a file takes at least
STREAMS = 4  # chunks under way at once: a single one is held up by the line's round trips


class Chunk(NamedTuple):
    """A part of a file, in bytes."""

    start: int
    size: int


def ship(
    uploads: Iterable[Upload],
    root: PurePosixPath,
    transport: Transport,
    on_bytes: OnBytes,
    warn: Callable[[str], object] = lambda words: None,
) -> None:
    """Sends what is not there yet. `on_bytes` is told the bytes of each piece, sent or found there; `warn` of little
    room, before anything is sent.

    Raises RequestError where there is too little room, and TransportError; whatever had arrived by then is kept for the
    next time.
    """
    items = [(folder, list(group)) for folder, group in groupby(uploads, key=lambda u: layout.item(u.target))]
    if not items:
        return
    there = set(transport.names(root / items[0][0].parent))
    on_bytes(sum(u.size for folder, files in items if folder.name in there for u in files))
    lacking = [(folder, files) for folder, files in items if folder.name not in there]
    if lacking:
        needed = sum(_needed(folder, files, root, transport, there) for folder, files in lacking)
        if warning := disk_space.judge(needed, str(root), disk_space.ask(transport, [str(root)]).get(str(root))):
            warn(warning)
    for folder, files in lacking:
        with exclusive(folder.name) as waited:
            if waited and folder.name in transport.names(root / folder.parent):
                on_bytes(sum(u.size for u in files))
            else:
                _send(folder, files, root, transport, on_bytes)


def _needed(
    folder: PurePosixPath, files: list[Upload], root: PurePosixPath, transport: Transport, there: set[str]
) -> int:
    """What an item takes there, in whole blocks, beyond what has arrived of it before."""
    part = _part(folder)
    arrived = transport.sizes(root / part) if part.name in there else {}
    sizes = (upload.size - min(upload.size, arrived.get(upload.target.relative_to(folder), 0)) for upload in files)
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)


def _part(folder: PurePosixPath) -> PurePosixPath:
    machine = re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname())
    return folder.with_name(f"{folder.name}.{machine}.part")


def _send(
    folder: PurePosixPath, files: list[Upload], root: PurePosixPath, transport: Transport, on_bytes: OnBytes
) -> None:
    part, final = root / _part(folder), root / folder
    names = {upload.target.relative_to(folder): upload for upload in files}
    if SUMS not in transport.names(part):
        sums = "".join(f"{_escaped(name)}{u.sha256}  {_plain(name)}\n" for name, u in names.items())
        transport.make_folder(part, {PurePosixPath(SUMS): sums.encode()})
    arrived = transport.sizes(part)
    small: dict[PurePosixPath, bytes] = {}
    chunks: list[tuple[PurePosixPath, Path, Chunk]] = []
    for name, upload in names.items():
        assert upload.source is not None, name
        if upload.size >= SMALL:
            lacking = _lacking(upload, part / name, name in arrived, transport)
            on_bytes(upload.size - sum(chunk.size for chunk in lacking))
            chunks += [(part / name, upload.source, chunk) for chunk in lacking]
        elif arrived.get(name) == upload.size:
            on_bytes(upload.size)
        else:
            small[name] = upload.source.read_bytes()
            if sum(map(len, small.values())) > BATCH:
                _flush(small, part, transport, on_bytes)
    _flush(small, part, transport, on_bytes)
    _send_chunks(chunks, transport, on_bytes)
    idle_timeout = process.read_timeout(sum(upload.size for upload in files))
    checked = transport.run(["sha256sum", "--check", "--quiet", SUMS], part, idempotent=True, idle_timeout=idle_timeout)
    if checked.status != 0:
        transport.remove_folder(part)
        raise TransportError(f"{final}: did not arrive as it was sent, and was taken away again: {checked.words}")
    moved = transport.run(["mv", "-T", "--", str(part), str(final)], root, idempotent=True)
    if moved.status != 0 and folder.name not in transport.names(final.parent):
        raise TransportError(f"{final}: {moved.words}{full_disk.remedy(moved.words)}")


def _send_chunks(chunks: list[tuple[PurePosixPath, Path, Chunk]], transport: Transport, on_bytes: OnBytes) -> None:
    stopped = threading.Event()

    def told(count: int) -> None:
        if stopped.is_set():
            raise InterruptedError
        on_bytes(count)

    with ThreadPoolExecutor(STREAMS) as streams:
        sent = [streams.submit(transport.write, source, to, *chunk, told) for to, source, chunk in chunks]
        try:
            for each in sent:
                each.result()
        except BaseException:  # Ctrl-C as well: what is under way stops at its next piece, what waits is not begun
            stopped.set()
            streams.shutdown(wait=False, cancel_futures=True)
            raise


def _lacking(upload: Upload, target: PurePosixPath, begun: bool, transport: Transport) -> list[Chunk]:
    """The chunks of a large file that are still to be sent: of one that broke off, those whose digests differ."""
    assert upload.source is not None
    chunks = [Chunk(start, min(CHUNK, upload.size - start)) for start in range(0, upload.size, CHUNK)]
    if not begun:
        return chunks
    name = shlex.quote(target.name)
    command = (
        f"i=0; while [ $i -lt {len(chunks)} ]; do "
        f"dd if={name} bs={CHUNK} skip=$i count=1 iflag=fullblock status=none | sha256sum; i=$((i + 1)); done"
    )
    answer = transport.run(["sh", "-c", command], target.parent, idempotent=True)
    there = [line.split()[0] for line in answer.out.splitlines()]
    if answer.status != 0 or len(there) != len(chunks):
        raise TransportError(f"{target}: cannot be read: {answer.words}")
    with upload.source.open("rb") as file:
        own = [hashlib.sha256(file.read(chunk.size)).hexdigest() for chunk in chunks]
    return [chunk for chunk, here, remote in zip(chunks, own, there, strict=True) if here != remote]


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
