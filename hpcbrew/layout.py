"""The names of files and folders on scratch, defined only here.

Names that the engine uses too come from engine.job_contract.

runs/NAME-TOKEN/   the run folder of a job:

job.json          the job's description: enough for another machine to find and understand it
job.pbs           the script, as submitted
job.id            the scheduler's id, written as soon as it is known; for a job that waits for a chain: its newest id
links.id          for a chain: the ids of the further jobs
links.log         for a chain: each job's id, its exit status, the newest snapshot
after.id          for a job that starts after a chain: the ids of the chain's jobs that it waited for, except the first
cancelled         hpcbrew cancel was called: further jobs of it do nothing
solver.prototxt   and the nets: the uploaded copies, with paths rewritten
snapshots/        .caffemodel and .solverstate
train.log         everything that the script and the engine print, live
rank-K.log        for a job on several nodes: what the engine prints on node K; node 0 prints to train.log
scheduler.log     the scheduler's own output
progress.json     the progress of the training (written by the engine)
metrics.jsonl     one object per display or test (written by the engine)
exit.json         the exit record, written last by the script
points/N/         for a sweep: all of this for point N, except job.json and job.pbs
"""

from pathlib import PurePosixPath

from engine import job_contract

RUNS = PurePosixPath("runs")
JOB = "job.json"
SCRIPT = "job.pbs"
ID = "job.id"
LINK_IDS = "links.id"
LINKS = "links.log"
WAITED = "after.id"
CANCELLED = "cancelled"
LOG = job_contract.LOG
SCHEDULER_LOG = "scheduler.log"
PROGRESS = job_contract.PROGRESS
METRICS = job_contract.METRICS
EXIT = job_contract.EXIT
POINTS = "points"
SOLVER = "solver.prototxt"
SNAPSHOTS = "snapshots"

DATA = PurePosixPath("data")
"""The folder of uploaded data, below a cluster's scratch folder."""

ENGINE, ENGINES, WHEELS = PurePosixPath("engine"), PurePosixPath("engines"), PurePosixPath("wheels")
"""Where `hpcbrew setup` puts the engine: a link to the one in use, all engines, and the wheels they were made from."""

CACHE = PurePosixPath("cache")
"""The engine's compilation cache, shared by jobs; it grows to gigabytes, for which a small home has no space."""

ENGINE_FACTS = "engine.json"
"""A file in an engine installed by setup: what it was made from."""


def item(target: PurePosixPath) -> PurePosixPath:
    """Returns the folder that is sent and checked as a whole with an uploaded file: `data/DIGEST` or
    `wheels/DIGEST`."""
    return PurePosixPath(*target.parts[:2])


def mode(name: PurePosixPath) -> int:
    """Returns the permissions of a file on scratch, subject to the umask there. Only the owner may read the script: it
    contains what a profile sets in a job's environment, possibly secrets."""
    return 0o600 if name.name == SCRIPT else 0o644


def run_folder(name: str, token: str) -> PurePosixPath:
    """Returns the run folder of a job, below the cluster's scratch folder."""
    return RUNS / f"{name}-{token}"


def rank_log(rank: int | str) -> str:
    """Returns the log of one process of a job on several nodes; `rank`: counted from 0, or a shell variable."""
    return job_contract.rank_log(rank) if rank else LOG


def point(index: int | str) -> PurePosixPath:
    """Returns the folder of a sweep's point below the run folder; `index`: counted from 1, or the scheduler's
    placeholder."""
    return PurePosixPath(POINTS, str(index))
