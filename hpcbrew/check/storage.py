"""Checks of the disk space on the cluster."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from engine.units import short_size
from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.errors import TransportError
from hpcbrew.transfer import disk_space
from hpcbrew.transfer.disk_space import GIB, Room

LITTLE = {"home": 1 * GIB, "scratch": disk_space.LITTLE}  # a home folder only holds a key and settings


def quotas(site: Checked) -> Iterator[Finding]:
    """Checks the space on home and scratch before a job fills them."""
    places = {"home": site.transport.root("~"), "scratch": site.transport.root(site.cluster.scratch or "")}
    rooms = disk_space.ask(site.transport, [str(path) for path in places.values()])
    for what, path in places.items():
        yield judge(what, str(path), rooms.get(str(path)))


def judge(what: str, path: str, room: Room | None) -> Finding:
    """Judges the space in a folder. `what`: home or scratch."""
    if room is None:
        remedy = "hpcbrew setup makes it" if what == "scratch" else "see what `df -Pk` prints there"
        return Finding(what, Mark.BAD, f"{path} does not exist", remedy)
    found = f"{short_size(room.free)} of {short_size(room.total)} free ({room.bound}), {path}"
    if room.free < LITTLE[what] or room.free < room.total / 50:
        remedy = "fetch what you need and remove old runs" if what == "scratch" else "move large files to scratch"
        return Finding(what, Mark.BAD if room.free < GIB // 16 else Mark.WARN, found, remedy)
    return Finding(what, Mark.OK, found)


def writable(site: Checked) -> Iterator[Finding]:
    """Checks that scratch can be written to: it may be full, or belong to somebody else. Raises TransportError if
    not."""
    root = site.transport.root(site.cluster.scratch or "")
    script = 'part=$(mktemp -- "$1/.hpcbrew.XXXXXX") && echo x >"$part"; status=$?; rm -f -- "$part"; exit "$status"'
    answer = site.transport.run(["bash", "-c", script, "bash", str(root)], PurePosixPath("/"))
    if answer.status != 0:
        raise TransportError(f"{root} cannot be written to: {answer.words}")
    yield Finding("scratch", Mark.OK, "can be written to")
