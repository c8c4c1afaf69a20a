"""Disk space on a cluster: what file systems and quotas leave, and whether that is enough."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from engine.units import short_size
from hpcbrew import full_disk
from hpcbrew.errors import RequestError
from hpcbrew.transports.base import Transport

KIB, GIB = 2**10, 2**30
LITTLE = 10 * GIB
"""Little space on scratch, in bytes: jobs write snapshots there, and the engine with CUDA takes about 6 GiB."""

# Prints for each folder: df's row; Lustre's quotas of the user, of the folder's group and of its project (many sites
# only have the latter two); the quota of the file system that df names. `timeout` is needed since a quota server may be
# out of reach.
ASK = r"""
me=$(id -un)
lustre() { # $1: the kind of row; $2: the folder; the rest: whose quota
    local kind=$1 of=$2
    shift 2
    printf '%s\t%s\t%s\n' "$kind" "$of" "$(timeout 10 lfs quota -q "$@" "$of" 2>/dev/null | xargs)"
}
for folder in "$@"; do
    row=$(df -Pk -- "$folder" 2>/dev/null | tail -n 1)
    printf '@df\t%s\t%s\n' "$folder" "$row"
    if [ -d "$folder" ] && command -v lfs >/dev/null; then
        lustre @quota "$folder" -u "$me"
        lustre @group "$folder" -g "$(stat -L -c %g -- "$folder")"
        project=$(timeout 10 lfs project -d -- "$folder" 2>/dev/null | awk 'NR == 1 { print $1 + 0 }')
        [ "${project:-0}" -eq 0 ] || lustre @project "$folder" -p "$project"
    fi
    command -v quota >/dev/null && printf '@quota\t%s\t%s\n' "$folder" \
        "$(timeout 10 quota -w 2>/dev/null | grep -F -- "${row%% *} " | xargs)"
done
exit 0
"""
_DF = re.compile(r"(?<!\S)(\d{1,18})\s+\d{1,18}\s+(\d{1,18})\s+\d{1,18}%\s+/")
# File system, blocks used (with a star if over quota), soft limit, hard limit: the format of quota(1) and lfs-quota(1).
_QUOTA = re.compile(r"\S+\s+(\d{1,18})\*?\s+(\d{1,18})\s+(\d{1,18})\b")


@dataclass(frozen=True)
class Room:
    """Total bytes, and bytes left to the user, by the tightest bound; `bound` names it."""

    total: int
    free: int
    bound: str


def ask(transport: Transport, folders: list[str]) -> dict[str, Room]:
    """Returns the space in each folder for which it is known."""
    return parse(transport.run(["bash", "-c", ASK, "bash", *folders], PurePosixPath("/"), idempotent=True).out)


def parse(out: str) -> dict[str, Room]:
    """Reads the space in each folder; other lines are login noise."""
    rooms: dict[str, Room] = {}
    for line in out.splitlines():
        kind, _, rest = line.partition("\t")
        folder, _, row = rest.partition("\t")
        reader = READERS.get(kind)
        room = reader(row) if reader is not None else None
        if room is not None and (folder not in rooms or room.free < rooms[folder].free):
            rooms[folder] = room
    return rooms


def judge(data_bytes: int | None, folder: str, room: Room | None, snapshots: int = 0) -> str:
    """Returns a warning if sending `data_bytes` (None: nothing) leaves little space in the folder, or less than a job's
    `snapshots` take; empty if there is enough.

    Raises RequestError if they do not fit.
    """
    if room is None:
        return ""
    size = data_bytes or 0
    free = f"{short_size(room.free)} of {short_size(room.total)} are free there ({room.bound})"
    if size > room.free:
        raise RequestError(
            f"{folder}: {short_size(size)} must be sent, but {free}: nothing was sent. {full_disk.REMOTE}; or put "
            "another scratch: into the profile"
        )
    if room.free - size < snapshots:
        clause = f"; {short_size(size)} must be sent," if size else ","
        return (
            f"{folder}: {free}{clause} and the job's snapshots take about {short_size(snapshots)}: raise snapshot: to "
            "write fewer, or give --keep 2 to keep fewer"
        )
    if data_bytes is not None and room.free - size < LITTLE:
        remaining = short_size(room.free - size)
        return f"{folder}: {free}, and {short_size(size)} must be sent, which leaves {remaining} for what jobs write"
    return ""


def _file_system(row: str) -> Room | None:
    match = _DF.search(row)
    return Room(int(match[1]) * KIB, int(match[2]) * KIB, "file system") if match else None


def _quota(row: str, bound: str = "quota") -> Room | None:
    """Reads a quota. The bound is the hard limit, or else the soft one; 0 means no limit."""
    match = _QUOTA.match(row)
    limit = (int(match[3]) or int(match[2])) if match else 0
    return Room(limit * KIB, max(0, limit - int(match[1])) * KIB, bound) if match and limit else None


READERS: dict[str, Callable[[str], Room | None]] = {
    "@df": _file_system,
    "@quota": _quota,
    "@group": partial(_quota, bound="quota of its group"),
    "@project": partial(_quota, bound="quota of its project"),
}
