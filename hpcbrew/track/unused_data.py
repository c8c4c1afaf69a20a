"""Finds data on a cluster's scratch that no run folder names, left over from jobs that were removed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobState
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site

SETTLED = 24 * 60
"""Minutes that data must have been there before they may count as unused: a job may just be being sent."""

ITEM = re.compile(r"[0-9a-f]{32}(\.[^./\n]+)?")
"""The names that `digests.place` gives to items. Anything else is left alone, such as uploads in progress:
DIGEST.MACHINE.part."""

# Searches the files of run folders and of points' folders in them, except those written during the training.
LIST = r"""
cd -- "$1" || exit
[ -d "$2" ] || exit 0
find "$2" -mindepth 1 -maxdepth 1 -type d -mmin "+$4" -printf 'item %f\0'
[ ! -d "$3" ] || find "$3" -mindepth 2 -maxdepth 4 -name "$5" -prune -o -type f ! -name '*.log' ! -name "$6" -print0 |
    xargs -0 -r grep -haoE "$2/[0-9a-f]{32}" -- | sort -u | while read -r name; do
        printf 'used %s\0' "$name"
    done
exit "${PIPESTATUS[0]}"
"""

SIZES = r"""
cd -- "$1" || exit; shift
du -s --block-size=1 -- "$@"
"""


@dataclass(frozen=True)
class Unused:
    """Items below a data folder, each with the bytes that it takes on disk."""

    folder: PurePosixPath
    sizes: dict[str, int]


def find(cluster: Cluster, site: Site, ledger: Ledger) -> Unused:
    """Finds the unused data. Raises RequestError while a job is being sent from here, TransportError if the cluster
    cannot be asked."""
    if any(r.address == cluster.address and r.status.state is JobState.SUBMITTING for r in ledger.live()):
        raise RequestError(f"{cluster.name}: a job is being sent: clean once hpcbrew status shows it as queued")
    root = site.transport.root(cluster.scratch or "")
    words = [str(root), str(layout.DATA), str(layout.RUNS), str(SETTLED), layout.SNAPSHOTS, layout.METRICS]
    answer = site.transport.run(["bash", "-c", LIST, "bash", *words], root, idempotent=True)
    unused = parse_list(answer, str(root))
    folder = root / layout.DATA
    if not unused:
        return Unused(folder, {})
    answer = site.transport.run(["bash", "-c", SIZES, "bash", str(folder), *unused], root, idempotent=True)
    return Unused(folder, parse_sizes(answer, unused))


def parse_list(answer: CommandResult, root: str) -> list[str]:
    """Returns the items that no file names. Raises TransportError if not all files could be read."""
    if answer.status != 0:
        raise TransportError(f"{root}: cannot be searched: {answer.words}")
    rows = [row.partition(" ")[::2] for row in answer.out.split("\0")]
    used_digests = {
        PurePosixPath(name).name for kind, name in rows if kind == "used"
    }  # digests, without what follows them
    return sorted(
        name for kind, name in rows if kind == "item" and ITEM.fullmatch(name) and name[:32] not in used_digests
    )


def parse_sizes(answer: CommandResult, items: Sequence[str]) -> dict[str, int]:
    """Reads the bytes of each item from the output of du, without items that have disappeared since."""
    rows = (line.partition("\t")[::2] for line in answer.out.splitlines())
    sizes = {name: int(size) for size, name in rows if re.fullmatch("[0-9]{1,18}", size)}
    return {name: sizes[name] for name in items if name in sizes}


def remove(unused: Unused, site: Site) -> None:
    """Removes the items. Raises TransportError for one that cannot be removed."""
    for name in unused.sizes:
        site.transport.remove_folder(unused.folder / name)
