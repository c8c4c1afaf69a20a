"""What the engine, the job script and the submitter tell each other, written down once.

The engine and `hpcbrew` import these names, and the templates of the job script are given them as objects:
`exit_codes.NO_ROOM`, `variables.DEADLINE`. Nothing is imported that takes time.
"""

import re
from enum import IntEnum, StrEnum
from typing import Any, Literal, NotRequired, TypedDict


class ExitCode(IntEnum):
    """With what the engine and the script end. 65 to 75 are those of sysexits.h; above 128, of signals."""

    DONE = 0
    """The training is done, or its user stopped it by Ctrl-C, with a snapshot."""
    FAULT = 1
    """The engine: a fault of the program. The script: what it needs is not there, as it says in the exit record."""
    WRONG = 2
    """The engine refused what it was given: the user can put it right."""
    DIVERGED = 65
    """EX_DATAERR: the loss is no number any more, and the engine stopped; nothing is left to go on with."""
    NEVER_BEGAN = 69
    """EX_UNAVAILABLE: the job that this one waited for ended and is not done."""
    NO_ROOM = 73
    """EX_CANTCREAT: the script cannot write into the run folder."""
    CONTINUES = 75
    """EX_TEMPFAIL: the run is whole but not done, and asks to be started again."""
    INTERRUPTED = 130
    """By SIGINT: Ctrl-C twice."""
    KILLED = 137
    """By SIGKILL, as nothing can say for itself: a link of a chain says it of the one before."""
    TERMINATED = 143
    """By SIGTERM, or cancelled before it began."""


class Variable(StrEnum):
    """The environment of a job: what its script tells the engine, and itself on further nodes."""

    RUN_DIR = "HPCBREW_RUN_DIR"
    """The run folder: where the engine keeps its records."""
    DEADLINE = "HPCBREW_DEADLINE"
    """The time to be gone by, in seconds since 1970."""
    LOCAL_DISK = "HPCBREW_LOCAL_DISK"
    """The folder on the node's own disk that databases are copied to; where the profile names one."""
    COORDINATOR = "HPCBREW_COORDINATOR"
    """HOST:PORT of the first node, of several."""
    NODES = "HPCBREW_NODES"
    """How many nodes train together."""
    RANK = "HPCBREW_RANK"
    """Which of them this is, from 0."""
    BEFORE = "HPCBREW_BEFORE"
    """How many nodes of lower rank are on the same host, to share its GPUs out. For the script alone."""
    TRAIN_HERE = "HPCBREW_TRAIN_HERE"
    """1: this machine has a scheduler and is no login node all the same. The user sets it."""
    LAYERS = "HPCBREW_LAYERS"
    """Modules with layers from outside of the tree, parted by commas. The user sets it, or `-layers` does."""
    ONEDNN = "HPCBREW_ONEDNN"
    """off: convolutions without oneDNN. The user sets it, to compare or where it makes trouble."""


PROGRESS = "progress.json"
METRICS = "metrics.jsonl"
EXIT = "exit.json"
"""The records in a run folder: the engine keeps the first two, and the script ends with the third."""

LOG = "train.log"
"""What the script and the engine print; of several nodes, what the first one does."""


def rank_log(rank: int | str) -> str:
    """What a further node prints. `rank` counts from 0; or the name of a shell's variable; or K, where any is meant."""
    return f"rank-{rank}.log"


ERROR_PREFIX = "caffe: error: "
"""Before the engine's message, the last of its log, where it ends with `ExitCode.WRONG`."""


class BestOutput(TypedDict):
    """The best value that a test output has had, the lowest of a loss or an error and the highest of any other, and
    when."""

    value: float
    iteration: int


def lower_is_better(output: str) -> bool:
    """Whether a test output is a loss or an error, by its name: cross_entropy_loss, l2_error, top5_err."""
    return re.search("loss|err(or)?(?![a-z])", output.lower()) is not None


class ProgressRecord(TypedDict):
    """progress.json: how far the training is. Times in seconds, `time` and `began` since 1970; null where a figure is
    not finite. `outputs`: those of the last test, which was at iteration `tested`; `best`: each one's best, of those
    that are one number. `diverged`: the iteration whose loss was the first that is no number.

    A site's own Caffe, whose log the script reads, tells of no memory, and of no pictures a second.
    """

    iteration: int
    max_iter: int
    loss: float | None
    lr: float | None
    images_per_second: NotRequired[float]
    seconds_left: float | None
    memory_bytes: NotRequired[int]
    time: float
    began: NotRequired[float]
    outputs: dict[str, Any]
    tested: NotRequired[int | None]
    best: NotRequired[dict[str, BestOutput]]
    diverged: NotRequired[int | None]


class TrainMetrics(TypedDict):
    """A line of metrics.jsonl: an iteration that is displayed, or one of those between that are noted for their loss.
    `outputs`: of one that is displayed, a number each, or a list of numbers."""

    phase: Literal["train"]
    iteration: int
    loss: float | None
    lr: float | None
    outputs: dict[str, Any]
    time: NotRequired[float]


class TestMetrics(TypedDict):
    """A line of metrics.jsonl: a test of test net number `net`, by the means of its outputs."""

    phase: Literal["test"]
    net: int
    iteration: int
    loss: NotRequired[float | None]
    outputs: dict[str, Any]
    time: NotRequired[float]


class ExitRecord(TypedDict):
    """exit.json, the script's last act: the job's exit status, when and where, and why, where only the script knows."""

    status: int
    time: int
    host: str
    reason: str
