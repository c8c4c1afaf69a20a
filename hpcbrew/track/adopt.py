"""Finds jobs that were submitted from another machine, by their run folders, which describe them."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from engine.schema import Malformed
from hpcbrew import layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import job_description, refresh, run_folder
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob
from hpcbrew.transports.base import Contents, NoRecord, Transport

TIME = re.compile(r"-?[0-9]{1,15}(\.[0-9]+)?")
"""A time as `stat` prints it, in seconds since 1970."""

# $1: the folder of run folders; $2: the name of the file with a job's id. stat has other options on macOS.
SUBMITTED = r"""
[ -d "$1" ] || exit 0
find "$1" -mindepth 2 -maxdepth 2 -name "$2" -exec sh -c '
    for id; do
        printf "%s\t%s\0" "$(stat -c %.9Y -- "$id" 2>/dev/null || stat -f %Fm -- "$id")" "${id%/*}"
    done' sh {} +
"""

TOP = PurePosixPath("/")


def adopt(
    cluster: Cluster, ledger: Ledger, say: Callable[[str], object] = lambda words: None, since: float = 0
) -> list[TrackedJob]:
    """Enters the cluster's jobs that `unknown` finds into the ledger, with their current state. Raises
    TransportError."""
    site = refresh.reach(cluster.address)
    records = unknown(cluster, site, ledger, say, since)
    with ledger.together():
        for record in records:
            ledger.take_up(record)
    return refresh.look(site, records, ledger) if records else []


def unknown(
    cluster: Cluster, site: Site, ledger: Ledger, say: Callable[[str], object] = lambda words: None, since: float = 0
) -> list[JobRecord]:
    """Returns the cluster's jobs that the ledger does not know, submitted at `since` (Unix seconds) or later, oldest
    first. Skips run folders with a malformed description, and calls `say` for each.

    Raises TransportError if the cluster cannot be reached.
    """
    root = site.transport.root(cluster.scratch or "")
    tokens = ledger.tokens()
    return [
        record
        for record in _jobs(site.transport, root, cluster, say)
        if record.token not in tokens and record.submitted >= since
    ]


def _jobs(transport: Transport, root: PurePosixPath, cluster: Cluster, say: Callable[[str], object]) -> list[JobRecord]:
    """Returns a record for every run folder that has an id and a description; anything else there is ignored."""
    times = _submitted(transport, root / layout.RUNS)
    files = iter(transport.read_all([folder / name for folder in times for name in (layout.JOB, layout.ID)]))
    records = []
    for folder, time in times.items():
        description, id_data = next(files), next(files)
        file = layout.JOB
        try:
            identity = _identity(transport, folder, description)
            file = layout.ID
            ids = run_folder.read_ids(run_folder.held(id_data))
            if identity is None or not ids:
                continue
            name, token, solver = identity
            if folder.name != f"{name}-{token}":
                file = layout.JOB
                raise Malformed(f"describes {name}-{token}")
        except Malformed as error:
            say(f"{folder} is skipped: {file}: {error}")
            continue
        status = JobStatus(JobState.QUEUED)
        records.append(JobRecord(token, name, cluster.address, solver, time, folder, status, ids[0]))
    return sorted(records, key=lambda record: record.submitted)


def _identity(transport: Transport, folder: PurePosixPath, data: Contents) -> tuple[str, str, str] | None:
    """As `job_description.read_identity`, but reads the large description of a large sweep separately. Raises
    Malformed."""
    if isinstance(data, NoRecord) and data.large:
        data = transport.read(folder / layout.JOB, 0, job_description.DESCRIBED + 1)
    return job_description.read_identity(run_folder.held(data))


def _submitted(transport: Transport, runs: PurePosixPath) -> dict[PurePosixPath, float]:
    """Returns the run folders below `runs`, and when their jobs were given ids (Unix seconds)."""
    answer = transport.run(["bash", "-c", SUBMITTED, "bash", str(runs), layout.ID], TOP, idempotent=True)
    if answer.status != 0:
        raise TransportError(f"{runs}: cannot be searched: {answer.words}")
    rows = (row.partition("\t")[::2] for row in answer.out.split("\0"))
    times = {PurePosixPath(folder): float(time) for time, folder in rows if TIME.fullmatch(time)}
    return {folder: time for folder, time in times.items() if folder.parent == runs}
