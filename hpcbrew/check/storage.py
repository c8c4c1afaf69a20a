"""Room on the cluster: what the file systems have left, and what quotas leave of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.errors import TransportError
from hpcbrew.quantity import short_size
from hpcbrew.transports import Transport

KIB, GIB = 2**10, 2**30
# The engine with CUDA takes about 6 GiB; a home folder only has to take a key and settings.
LITTLE = {"home": 1 * GIB, "scratch": 10 * GIB}

# For each folder: df's row; Lustre's quota, or else that of the file system that df names.
ASK = r"""
me=$(id -un)
for folder in "$@"; do
    row=$(df -Pk -- "$folder" 2>/dev/null | tail -n 1)
    printf '@df\t%s\t%s\n' "$folder" "$row"
    command -v lfs >/dev/null && printf '@quota\t%s\t%s\n' "$folder" \
        "$(lfs quota -q -u "$me" "$folder" 2>/dev/null | xargs)"
    command -v quota >/dev/null && printf '@quota\t%s\t%s\n' "$folder" \
        "$(quota -w 2>/dev/null | grep -F -- "${row%% *} " | xargs)"
done
exit 0
"""
_DF = re.compile(r"(\d+)\s+\d+\s+(\d+)\s+\d+%\s+/")
# File system, blocks used (starred where over), soft limit, hard limit: quota(1) and lfs-quota(1) write the same.
_QUOTA = re.compile(r"\S+\s+(\d+)\*?\s+(\d+)\s+(\d+)\b")


@dataclass(frozen=True)
class Room:
    """Bytes in all and left to the user, by the tightest bound; `bound` names it."""

    total: int
    free: int
    bound: str


def parse(out: str) -> dict[str, Room]:
    """What each folder has; other lines are login noise."""
    found: dict[str, Room] = {}
    for line in out.splitlines():
        kind, _, rest = line.partition("\t")
        folder, _, row = rest.partition("\t")
        room = {"@df": _file_system, "@quota": _quota}.get(kind, lambda row: None)(row)
        if room is not None and (folder not in found or room.free < found[folder].free):
            found[folder] = room
    return found


def _file_system(row: str) -> Room | None:
    match = _DF.search(row)
    return Room(int(match[1]) * KIB, int(match[2]) * KIB, "file system") if match else None


def _quota(row: str) -> Room | None:
    """The hard limit bounds; where there is none, the soft one. 0 is no limit."""
    match = _QUOTA.match(row)
    limit = (int(match[3]) or int(match[2])) if match else 0
    return Room(limit * KIB, max(0, limit - int(match[1])) * KIB, "quota") if match and limit else None


def room(transport: Transport, folders: list[str]) -> dict[str, Room]:
    """What there is in each folder, where that can be told."""
    return parse(transport.run(["bash", "-c", ASK, "bash", *folders], PurePosixPath("/")).out)


def quotas(site: Checked) -> Iterator[Finding]:
    """Home and scratch, before a job fills them."""
    places = {"home": site.transport.root("~"), "scratch": site.transport.root(site.cluster.scratch or "")}
    rooms = room(site.transport, [str(path) for path in places.values()])
    for what, path in places.items():
        yield judge(what, str(path), rooms.get(str(path)))


def judge(what: str, path: str, here: Room | None) -> Finding:
    """`what`: home or scratch."""
    if here is None:
        remedy = "hpcbrew setup makes it" if what == "scratch" else "see what `df -Pk` prints there"
        return Finding(what, Mark.BAD, f"{path} is not there", remedy)
    found = f"{short_size(here.free)} of {short_size(here.total)} free ({here.bound}), {path}"
    if here.free < LITTLE[what] or here.free < here.total / 50:
        remedy = "fetch what you need and take old runs away" if what == "scratch" else "move large files to scratch"
        return Finding(what, Mark.BAD if here.free < GIB // 16 else Mark.WARN, found, remedy)
    return Finding(what, Mark.OK, found)


def writable(site: Checked) -> Iterator[Finding]:
    """A folder that is there may still be full, or another's."""
    root = site.transport.root(site.cluster.scratch or "")
    script = 'part=$(mktemp -- "$1/.hpcbrew.XXXXXX") && echo x >"$part"; status=$?; rm -f -- "$part"; exit "$status"'
    answer = site.transport.run(["bash", "-c", script, "bash", str(root)], PurePosixPath("/"))
    if answer.status != 0:
        raise TransportError(f"{root} cannot be written to: {answer.words}")
    yield Finding("scratch", Mark.OK, "can be written to")
