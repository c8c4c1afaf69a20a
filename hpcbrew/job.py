"""A job: what was asked (JobRequest), what was worked out (JobPlan), what was sent (JobRecord), and its state."""

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
"""What a job may be called: PBS takes these."""

TOKEN = re.compile(r"[0-9a-f]{8}")
"""What `new_token` gives."""

WORD, WORDS = re.compile(r"[\w.:@%+=/,*^-]+"), "one word of letters, digits and . _ : @ % + = / , * ^ -"
"""What may go into a directive of a job's script as it stands; and the same as a message says it."""


class JobState(StrEnum):
    """What a job is doing, in words. The value is what `status` prints."""

    SUBMITTING = "submitting"  # written down, and the scheduler has not been heard to accept it
    QUEUED = "queued"
    HELD = "held"
    WAITING = "waiting"  # for its start time, or for another job
    RUNNING = "running"
    ENDING = "ending"
    DONE = "done"
    FAILED = "failed"
    DIVERGED = "diverged"  # its loss was no number any more, and the engine stopped
    CANCELLED = "cancelled"
    OUT_OF_WALLTIME = "out of walltime"
    OUT_OF_MEMORY = "out of memory"
    NEVER_RAN = "never ran"
    LOST = "lost"
    UNKNOWN = "unknown"  # the scheduler knows the job, and calls its state by a name that means nothing to us

    @property
    def final(self) -> bool:
        """Nothing will change any more. A lost job may yet be found: its own exit record settles it."""
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
    """A job's state at some moment, why it is so, and the exit status for those that have one."""

    state: JobState
    reason: str = ""
    exit_status: int | None = None

    @property
    def shell_status(self) -> int:
        """What `submit --follow` ends with: the job's own exit status where it has one, as a shell would give it."""
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
    """A job that must be done before another begins. `id`: the scheduler's job to wait for.

    `folder`: the run folder of one that is several of the scheduler's jobs, one after the other, such as a chain. There
    it can be seen whether it is done once that of this id has ended.
    """

    id: str
    name: str
    folder: str | None = None


def iso(seconds: float | None) -> str | None:
    """A time in seconds since 1970 as ISO 8601 has it, in UTC; None for none, and for one that no calendar has."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


Overrides = tuple[tuple[str, str], ...]
"""Fields of a solver, each with the value that takes its place."""


def new_token() -> str:
    """What tells a job from every other, wherever it was submitted: eight hexadecimal digits."""
    return secrets.token_hex(4)


@dataclass(frozen=True)
class JobRequest:
    """What the user asked for. None stands for the cluster's default. `walltime` in seconds, `mem` in bytes a node.

    `links`: how many jobs may follow each other until the training is done; None is as many as it takes. `mail`: where
    PBS writes to when the job ends. `flags`: of the engine's training, beside what follows from the rest. `layers`:
    the modules of layers that go along, as the engine's -layers. `taken`: names of other jobs. `unknown`: of a dry run,
    what was not asked of the cluster, in words.
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
    taken: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resources:
    """What a job gets, nothing left open. Per node: `gpus`, `cpus`, `mem` (bytes). `walltime` in seconds."""

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
    """One file to ship. `target` is below the cluster's scratch folder; `content` is given where the file is made
    here; `role`: of data, what it is to the nets, as `database`."""

    target: PurePosixPath
    size: int
    sha256: str
    source: Path | None = None
    content: bytes | None = field(default=None, repr=False)
    role: str = ""


@dataclass(frozen=True)
class JobPlan:
    """All that will be done, worked out before anything is: what `--dry-run` prints and `submit` carries out.

    `run_folder` and the uploads' targets are relative to the cluster's scratch folder, `scratch`, which may still hold
    `~` or `$SCRATCH`: only the cluster can say what that means. `missing` says what must be given before it can be
    submitted, as a project; nothing, mostly. `unknown`: as in the request. `warnings`: what is allowed and is hardly
    meant. `chunk`: what one node must hold, in the words of `select`, where only the cluster can say whether one does;
    `hosts`: so many machines must, at once. `links` is as in the request; `points`: how many jobs the array of a sweep
    has, 0 for any other job. `there`: files that are not shipped, and that the cluster must have, each with what it is
    to the nets. `memory`: bytes that an iteration takes of a device, about and at least; 0 where nothing
    is known of the net's sizes. `snapshots`: bytes that its snapshots take on scratch, about; 0 likewise.
    `installed_engine`: whether it trains with the engine that `hpcbrew setup` puts on the cluster.
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
    there: tuple[tuple[str, PurePosixPath], ...] = ()
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
        """Its number, where it is one job of an array: of a sweep's points."""
        match = re.search(r"\[(\d+)\]$", self.token)
        return int(match[1]) if match else None

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
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
