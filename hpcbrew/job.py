"""A job: what was requested (JobRequest), what was planned (JobPlan), what was sent (JobRecord), and its state."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Literal

from hpcbrew.address import Address
from hpcbrew.train_flags import TrainFlags

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*")
"""The job names that PBS accepts."""

TOKEN = re.compile(r"[0-9a-f]{8}")
"""What `new_token` returns."""

WORD, WORDS = re.compile(r"[\w.:@%+=/,*^-]+"), "one word of letters, digits and . _ : @ % + = / , * ^ -"
"""What may go unquoted into a directive of a job's script; and the same in words, for messages."""


MOST_POINTS = 100_000
"""The most points of a sweep: no PBS accepts an array of that many jobs."""


class JobState(StrEnum):
    """The state of a job. The value is what `status` prints."""

    SUBMITTING = "submitting"  # in the ledger, but not yet confirmed by the scheduler
    QUEUED = "queued"
    HELD = "held"
    WAITING = "waiting"  # for its start time, or for another job
    RUNNING = "running"
    ENDING = "ending"
    DONE = "done"
    FAILED = "failed"
    DIVERGED = "diverged"  # its loss became non-finite, and the engine stopped
    CANCELLED = "cancelled"
    OUT_OF_WALLTIME = "out of walltime"
    OUT_OF_MEMORY = "out of memory"
    NEVER_RAN = "never ran"
    LOST = "lost"
    UNKNOWN = "unknown"  # the scheduler knows the job, but its state cannot be interpreted

    @property
    def final(self) -> bool:
        """Whether the state will not change any more; except that a lost job may be found, by its exit record."""
        return self in FINAL


FINAL = frozenset(
    {
        JobState.DONE,
        JobState.FAILED,
        JobState.DIVERGED,
        JobState.CANCELLED,
        JobState.OUT_OF_WALLTIME,
        JobState.OUT_OF_MEMORY,
        JobState.NEVER_RAN,
        JobState.LOST,
    }
)


@dataclass(frozen=True)
class JobStatus:
    """A job's state at one moment, the reason for it, and the exit status if it has one."""

    state: JobState
    reason: str = ""
    exit_status: int | None = None

    @property
    def shell_status(self) -> int:
        """The exit status of `submit --follow`: the job's own if it has one, as a shell would report it."""
        if self.state is JobState.DONE:
            return 0
        if self.state is JobState.OUT_OF_WALLTIME:
            return 124  # as timeout(1)
        if self.state is JobState.CANCELLED:
            return 143  # 128 + SIGTERM
        status = self.exit_status or 1
        if status > 256:
            return 128 + status - 256
        return status if 0 < status < 256 else 1


@dataclass(frozen=True)
class After:
    """A job that must be done before another starts. `id`: the scheduler's job to wait for.

    `folder`: the run folder, if it is several successive scheduler jobs, such as a chain. Once the job with this id has
    ended, the folder shows whether the whole is done.
    """

    id: str
    name: str
    folder: str | None = None


def iso(seconds: float | None) -> str | None:
    """Formats a time in seconds since 1970 by ISO 8601, in UTC; None for None and for impossible times."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


Overrides = tuple[tuple[str, str], ...]
"""Solver fields with their new values."""


def new_token() -> str:
    """Returns eight hexadecimal digits that identify a job uniquely, wherever it was submitted."""
    return secrets.token_hex(4)


@dataclass(frozen=True)
class JobRequest:
    """What the user requested. None stands for the cluster's default. `walltime` is in seconds, `mem` in bytes per
    node.

    `links`: the most jobs that may follow each other until the training is done; None means as many as it takes.
    `mail`: the address for PBS's mail when the job ends. `flags`: further ones for the engine's training. `layers`: the
    modules of the user's own layers, for the engine's -layers. `names_in_use`: names of other jobs. `unknown`: for a
    dry run, sentences on what the cluster was not asked.
    """

    solver: Path
    nodes: int = 1
    gpus_per_node: int = 0
    gpu_type: str | None = None
    cpus: int | None = None
    mem: int | None = None
    walltime: int | None = None
    queue: str | None = None
    project: str | None = None
    name: str | None = None
    weights: tuple[Path, ...] = ()
    resume: Path | None = None
    engine: Literal["own", "module"] = "own"
    links: int | None = 1
    after: After | None = None
    mail: str | None = None
    overrides: Overrides = ()
    flags: TrainFlags = ()
    layers: tuple[str, ...] = ()
    names_in_use: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resources:
    """What a job gets, fully resolved. Per node: `gpus`, `cpus`, `mem` (bytes). `walltime` is in seconds."""

    nodes: int
    gpus: int
    cpus: int
    mem: int | None
    walltime: int
    queue: str | None
    project: str | None
    select: dict[str, str]


@dataclass(frozen=True)
class Upload:
    """One file to upload. `target` is below the cluster's scratch folder; `content` is given if the file is generated;
    `role`: for data, what the nets use it as, such as `database`."""

    target: PurePosixPath
    size: int
    sha256: str
    source: Path | None = None
    content: bytes | None = field(default=None, repr=False)
    role: str = ""


@dataclass(frozen=True)
class JobPlan:
    """Everything that will be done, worked out beforehand: `--dry-run` prints it and `submit` carries it out.

    `run_folder` and the uploads' targets are relative to the cluster's scratch folder, `scratch`, which may still
    contain `~` or `$SCRATCH`, since only the cluster can expand them. `missing`: what must be given before it can be
    submitted, such as a project; usually empty. `unknown`: as in the request. `warnings`: about what is valid but
    probably not meant. `chunk`: what one node must hold, in terms of `select`, if only the cluster can say whether one
    does; `hosts`: the number of machines that must, at once. `links`: as in the request. `points`: the number of jobs
    in a sweep's array; 0 for any other job. `files_on_cluster`: files that are not sent but must exist on the cluster,
    each with its role. `memory`: about the least bytes that an iteration takes on a device; 0 if the net's sizes are
    unknown. `snapshots`: about the bytes that its snapshots take on scratch; 0 likewise. `installed_engine`: whether it
    trains with the engine that `hpcbrew setup` installs on the cluster.
    """

    token: str
    name: str
    address: Address
    missing: str
    scratch: str
    run_folder: PurePosixPath
    script: str
    definitions: tuple[Upload, ...]
    data: tuple[Upload, ...]
    command: tuple[str, ...]
    resources: Resources
    max_iter: int = 0
    links: int | None = 1
    points: int = 0
    unknown: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    chunk: Mapping[str, str] = field(default_factory=dict)
    hosts: int = 1
    files_on_cluster: tuple[tuple[str, PurePosixPath], ...] = ()
    memory: int = 0
    snapshots: int = 0
    installed_engine: bool = False


@dataclass(frozen=True)
class JobRecord:
    """A job in the ledger. `id` is the scheduler's, None until it has answered; times are Unix seconds.

    `run_folder` is absolute, on the cluster.
    """

    token: str
    name: str
    address: Address
    solver: str
    submitted: float
    run_folder: PurePosixPath
    status: JobStatus
    id: str | None = None
    cancel_asked: bool = False

    @property
    def cluster(self) -> str:
        return self.address.cluster

    @property
    def is_array(self) -> bool:
        return self.id is not None and "[]" in self.id

    @property
    def point(self) -> int | None:
        """Its number if it is one job of an array, that is, a point of a sweep."""
        match = re.search(r"\[(\d+)\]$", self.token)
        return int(match[1]) if match else None

    def as_json(self) -> dict[str, object]:
        """Returns the object that `--json` prints."""
        return {
            "id": self.id,
            "name": self.name,
            "cluster": self.cluster,
            "state": str(self.status.state),
            "reason": self.status.reason,
            "exit_status": self.status.exit_status,
            "run_folder": str(self.run_folder),
            "solver": self.solver,
            "submitted": iso(self.submitted),
            "token": self.token,
        }
