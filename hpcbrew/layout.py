"""What files and folders on scratch are called. This is the one place that knows.

What the engine names too is called as in engine.job_contract.

runs/NAME-TOKEN/   the run folder of a job:

job.json          what the job is: enough for another machine to find it and read it
job.pbs           the script, as submitted
job.id            the scheduler's id, written as soon as it was given; of a job that waits for a chain: its newest
links.id          of a chain: the ids of the jobs that followed it
links.log         of a chain: each job's id, its exit status, the newest snapshot
after.id          of a job that begins after a chain: those of the chain's jobs that it waited for, but for the first
cancelled         hpcbrew cancel was called: no further job of it does anything
solver.prototxt   and the nets: the shipped copies, with paths rewritten
snapshots/        .caffemodel and .solverstate
train.log         all that the script and the engine print, live
rank-K.log        of a job on several nodes: what the engine prints on node K; node 0 prints to train.log
scheduler.log     what the scheduler itself had to say
progress.json     where the training is (written by the engine)
metrics.jsonl     one object a display or test (written by the engine)
exit.json         the exit record: the script's last act
points/N/         of a sweep: all of this for point N, but for job.json and job.pbs
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
"""Where all that is shipped lies, below a cluster's scratch folder."""

ENGINE, ENGINES, WHEELS = PurePosixPath("engine"), PurePosixPath("engines"), PurePosixPath("wheels")
"""Where `hpcbrew setup` puts the engine: a link to the one in use, all of them, and what they were made of."""

CACHE = PurePosixPath("cache")
"""What the engine compiled for one job, for the next; gigabytes, in time, that a small home has no room for."""

ENGINE_FACTS = "engine.json"
"""In an engine that setup put there: what it was made from."""


def item(target: PurePosixPath) -> PurePosixPath:
    """The folder of a shipped file that is sent and checked as one: `data/DIGEST` or `wheels/DIGEST`."""
    return PurePosixPath(*target.parts[:2])


def mode(name: PurePosixPath) -> int:
    """The permissions of a file that is put on scratch, as far as the umask there allows them. The script holds what a
    profile sets in a job's environment, secrets too: it is its owner's alone to read."""
    return 0o600 if name.name == SCRIPT else 0o644


def run_folder(name: str, token: str) -> PurePosixPath:
    """The run folder of a job, below the cluster's scratch folder."""
    return RUNS / f"{name}-{token}"


def rank_log(rank: int | str) -> str:
    """The log of one process of a job on several nodes, counted from 0; or named by a shell's variable."""
    return job_contract.rank_log(rank) if rank else LOG


def point(index: int | str) -> PurePosixPath:
    """The folder of one point of a sweep, counted from 1, below the run folder; or as the scheduler fills it in."""
    return PurePosixPath(POINTS, str(index))
