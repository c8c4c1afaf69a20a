"""Jobs that were submitted from another machine: their run folders say what they are."""

import re
from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import TransportError
from hpcbrew.job import NAME, JobRecord, JobState, JobStatus
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import TrackedJob
from hpcbrew.transports.base import Transport

TOKEN = re.compile(r"[0-9a-f]{8}")
TOP = PurePosixPath("/")


def adopt(cluster: Cluster, ledger: Ledger) -> list[TrackedJob]:
    """Writes the cluster's jobs that the ledger does not know into it, oldest first, each as it stands now.

    Raises TransportError where the cluster cannot be reached.
    """
    site = refresh.reach(cluster.address)
    root = site.transport.root(cluster.scratch or "")
    known = {record.token for record in ledger.all()}
    found = [record for record in _jobs(site.transport, root, cluster) if record.token not in known]
    with ledger.together():
        for record in found:
            ledger.intend(record)
    return refresh.look(site, found, ledger) if found else []


def _jobs(transport: Transport, root: PurePosixPath, cluster: Cluster) -> list[JobRecord]:
    """Every run folder that has an id and describes itself. What else lies there is left aside."""
    submitted = _submitted(transport, root / layout.RUNS)
    files = iter(transport.read_all([folder / name for folder in submitted for name in (layout.JOB, layout.ID)]))
    records = []
    for folder, time in submitted.items():
        values, ids = run_folder.read_object(next(files)) or {}, run_folder.read_ids(next(files))
        name, token, solver = (str(values.get(key, "")) for key in ("name", "token", "solver"))
        # Names and tokens go into file names here: what is none is not taken for one.
        if ids and NAME.fullmatch(name) and TOKEN.fullmatch(token) and folder.name == f"{name}-{token}":
            status = JobStatus(JobState.QUEUED)
            records.append(JobRecord(token, name, cluster.address, solver, time, folder, status, ids[0]))
    return sorted(records, key=lambda record: record.submitted)


def _submitted(transport: Transport, runs: PurePosixPath) -> dict[PurePosixPath, float]:
    """The run folders below `runs`, and when their jobs were given ids (Unix seconds)."""
    script = '[ ! -d "$1" ] || exec find "$1" -mindepth 2 -maxdepth 2 -name "$2" -printf "%T@\\t%h\\0"'
    answer = transport.run(["bash", "-c", script, "bash", str(runs), layout.ID], TOP, idempotent=True)
    if answer.status != 0:
        raise TransportError(f"{runs}: cannot be looked through: {answer.words}")
    rows = [row.split("\t", 1) for row in answer.out.split("\0") if row]
    return {PurePosixPath(folder): float(time) for time, folder in rows}
