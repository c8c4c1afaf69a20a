"""The contract between engine, job script and submitter: exit codes, environment variables, files, records.

The engine and `hpcbrew` import these names; the job script's templates are given them as objects:
`exit_codes.NO_ROOM`, `variables.DEADLINE`. The module imports nothing that is slow to load.
"""

import re
from enum import IntEnum, StrEnum
from typing import Any, Literal, NotRequired, TypedDict


class ExitCode(IntEnum):
    """Exit statuses of the engine and the script. 65 to 75 are from sysexits.h; above 128 are signals."""

    DONE = 0
    """The training is done, or its user stopped it by Ctrl-C, with a snapshot."""
    FAULT = 1
    """The engine: a bug in the program. The script: something it needs is missing, as its exit record says."""
    WRONG = 2
    """The engine refused its input: the user can put it right."""
    DIVERGED = 65
    """EX_DATAERR: the loss is no longer a number, and the engine stopped; there is nothing to resume from."""
    NEVER_BEGAN = 69
    """EX_UNAVAILABLE: the job that this one waited for ended without being done."""
    NO_ROOM = 73
    """EX_CANTCREAT: the script cannot write into the run folder."""
    CONTINUES = 75
    """EX_TEMPFAIL: the run is intact but not done, and is to be started again."""
    INTERRUPTED = 130
    """By SIGINT: Ctrl-C twice."""
    ABORTED = 134
    """By SIGABRT, by which JAX ends a process that has lost contact with another."""
    KILLED = 137
    """By SIGKILL, which no job can report itself: the next job of a chain reports it of the one before."""
    TERMINATED = 143
    """By SIGTERM, or cancelled before the job began."""


class Variable(StrEnum):
    """Environment variables of a job, by which its script tells the engine, and itself on further nodes, what to do."""

    RUN_DIR = "HPCBREW_RUN_DIR"
    """The run folder: where the engine keeps its records."""
    DEADLINE = "HPCBREW_DEADLINE"
    """The time by which the engine must have ended, in seconds since 1970."""
    LOCAL_DISK = "HPCBREW_LOCAL_DISK"
    """The folder on the node's own disk to copy databases to; set if the cluster's profile names one."""
    COORDINATOR = "HPCBREW_COORDINATOR"
    """HOST:PORT of the first node, if several train together."""
    NODES = "HPCBREW_NODES"
    """How many nodes train together."""
    RANK = "HPCBREW_RANK"
    """Which of them this is, from 0."""
    BEFORE = "HPCBREW_BEFORE"
    """How many nodes of lower rank run on the same host, to divide its GPUs among them. Used by the script only."""
    TRAIN_HERE = "HPCBREW_TRAIN_HERE"
    """1: this machine is not a login node, although it has a scheduler. The user sets it."""
    LAYERS = "HPCBREW_LAYERS"
    """Modules with layers from outside the tree, separated by commas. The user sets it, or `-layers` does."""
    ONEDNN = "HPCBREW_ONEDNN"
    """off: convolutions do not use oneDNN. The user sets it, to compare, or where oneDNN causes trouble."""


PROGRESS = "progress.json"
METRICS = "metrics.jsonl"
EXIT = "exit.json"
"""The records in a run folder: the engine keeps the first two up to date; the script writes the third at its end."""

LOG = "train.log"
"""The output of the script and the engine; if several nodes train together, of the first."""


def rank_log(rank: int | str) -> str:
    """The file with a further node's output. `rank`: counted from 0; or a shell variable; or K, standing for any."""
    return f"rank-{rank}.log"


ERROR_PREFIX = "caffe: error: "
"""Precedes the engine's error message, the last line of its log, if it ends with `ExitCode.WRONG`."""


class BestOutput(TypedDict):
    """The best value that a test output has had, and its iteration. Best is the lowest for a loss or an error, and the
    highest for any other output."""

    value: float
    iteration: int


def lower_is_better(output: str) -> bool:
    """Whether a test output is a loss or an error, judged by its name: cross_entropy_loss, l2_error, top5_err."""
    return re.search("loss|err(or)?(?![a-z])", output.lower()) is not None


class ProgressRecord(TypedDict):
    """progress.json: how far the training has come. Times are in seconds, `time` and `began` since 1970; a figure that
    is not finite is null. `outputs`: those of the last test, made at iteration `tested`. `best`: the best value of each
    output that is a single number. `diverged`: the first iteration whose loss was not a number.

    A site's own Caffe, whose log the script reads, reports neither memory nor pictures per second.
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
    """A line of metrics.jsonl: a displayed iteration, or one between displays whose loss is recorded.
    `outputs`: those of a displayed iteration, each a number or a list of numbers."""

    phase: Literal["train"]
    iteration: int
    loss: float | None
    lr: float | None
    outputs: dict[str, Any]
    time: NotRequired[float]


class TestMetrics(TypedDict):
    """A line of metrics.jsonl: a test of test net number `net`, with the means of its outputs."""

    phase: Literal["test"]
    net: int
    iteration: int
    loss: NotRequired[float | None]
    outputs: dict[str, Any]
    time: NotRequired[float]


class ExitRecord(TypedDict):
    """exit.json, which the script writes last: the exit status, time and host, and the reason if it alone knows it."""

    status: int
    time: int
    host: str
    reason: str
