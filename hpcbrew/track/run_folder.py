"""What lies in a run folder on scratch, read: what the job is, its exit record, its progress, its snapshots."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from engine.job_contract import ERROR_PREFIX
from hpcbrew import layout
from hpcbrew.errors import TransportError
from hpcbrew.job import After, JobRecord, JobState
from hpcbrew.schedulers.pbs import JOB_ID
from hpcbrew.track.log_tail import last_bytes
from hpcbrew.transports.base import Transport

_STATE = re.compile(r"(?P<stem>.*_iter_(?P<iteration>\d+))\.solverstate(\.h5)?")
_SNAPSHOT = re.compile(r"_iter_(\d+)\.caffemodel(\.h5)?")

DESCRIBED = 64 * 2**20
"""Bytes of the largest job.json: that of a sweep of ten thousand points."""

LOG_END = 2**18
"""Bytes of a log in which the engine's last words are looked for."""


@dataclass(frozen=True)
class JobDescription:
    """What a job is, as it was written down with it; of one job of an array, what the array is.

    `overrides`: what --set changed, by its name in the solver; `points`: of a sweep, those of each of its points.
    `resources`: the fields of plan.resources.Resources. `definitions`: the names of the prototxt files in the folder.
    """

    name: str
    overrides: dict[str, str]
    resources: dict[str, Any]
    links: int | None
    engine: Literal["own", "module"]
    after: After | None
    definitions: tuple[str, ...]
    points: tuple[dict[str, str], ...] = ()

    @property
    def nodes(self) -> int:
        return int(self.resources["nodes"])

    @property
    def is_sequence(self) -> bool:
        """Whether it is several of the scheduler's jobs, one after the other: a chain, or one that waits for such."""
        return self.links != 1 or bool(self.after and self.after.folder)


@dataclass(frozen=True)
class ExitRecord:
    """What the script wrote at its end: its exit status, the time (Unix seconds), the host, and why, where it knows."""

    status: int
    time: float
    host: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Progress:
    """What the engine says of itself while it trains. Rates a second, times in seconds; None where it has no say."""

    iteration: int
    max_iter: int
    loss: float | None = None
    lr: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    time: float | None = None
    outputs: dict[str, Any] = field(default_factory=dict)


def describe(record: JobRecord, transport: Transport) -> JobDescription:
    """What a job is, by its run folder. Raises TransportError where that is gone, or cannot be read."""
    path = described_in(record) / layout.JOB
    description = read_description(transport.read(path, 0, DESCRIBED + 1))
    if description is None:
        raise TransportError(f"{path}: the description of {record.name} is gone or cannot be read")
    return description


def described_in(record: JobRecord) -> PurePosixPath:
    """The folder of a job's description: its own, or for one job of an array that of the array."""
    return record.run_folder if record.point is None else record.run_folder.parents[1]


def read_description(data: bytes | None) -> JobDescription | None:
    """What job.json says, or None where there is none, or something of it is missing."""
    values = read_object(data)
    if values is None or not {"resources", "definitions", "set", "links", "after", "engine"} <= values.keys():
        return None
    return JobDescription(
        name=values.get("name", ""),
        overrides=values["set"],
        resources=values["resources"],
        links=values["links"],
        engine=values["engine"],
        after=After(**values["after"]) if values["after"] else None,
        definitions=tuple(values["definitions"]),
        points=tuple(values.get("points") or ()),
    )


def model(record: JobRecord, transport: Transport) -> PurePosixPath | None:
    """The job's newest model; None where there is none yet."""
    folder = record.run_folder / layout.SNAPSHOTS
    name = newest_model(transport.names(folder))
    return folder / name if name else None


def complaint(record: JobRecord, transport: Transport) -> str | None:
    """Why the engine refused, in its own words; None where it did not."""
    if record.status.state is not JobState.FAILED:
        return None
    log = last_bytes(transport, record.run_folder / layout.LOG, LOG_END).decode(errors="replace")
    _, refused, words = log.rpartition(ERROR_PREFIX)
    return words.strip() if refused else None


def read_ids(data: bytes | None) -> tuple[str, ...]:
    """The scheduler's ids of the job, in the order of submission; none where there are none yet."""
    lines = (line.strip() for line in (data or b"").decode(errors="replace").splitlines())
    return tuple(dict.fromkeys(line for line in lines if JOB_ID.fullmatch(line)))


def read_exit(data: bytes | None) -> ExitRecord | None:
    """The exit record, or None where there is none yet."""
    values = read_object(data)
    if values is None or not isinstance(values.get("status"), int):
        return None
    time, host, reason = values.get("time", 0), values.get("host", ""), values.get("reason", "")
    return ExitRecord(values["status"], float(time), str(host), str(reason))


def read_progress(data: bytes | None) -> Progress | None:
    """The progress record, or None where there is none yet. What a newer engine may add is left aside."""
    values = read_object(data)
    if values is None or not isinstance(values.get("iteration"), int) or not isinstance(values.get("max_iter"), int):
        return None
    known = {key: values[key] for key in Progress.__dataclass_fields__ if values.get(key) is not None}
    return Progress(**known)


def read_metrics(data: bytes | None) -> list[dict[str, Any]]:
    """The objects of metrics.jsonl; a line that is not whole yet is left out."""
    whole = (data or b"")[: (data or b"").rfind(b"\n") + 1]
    return [values for line in whole.splitlines() if (values := read_object(line)) is not None]


def newest_model(names: list[str]) -> str | None:
    """Of the files in a snapshots folder, the model of the highest iteration."""
    models = [(int(m[1]), name) for name in names if (m := _SNAPSHOT.search(name)) and m.end() == len(name)]
    return max(models)[1] if models else None


def newest_state(sizes: Mapping[str, int]) -> tuple[str, int] | None:
    """Of the files in a snapshots folder, the solver state of the highest iteration whose model is there too; and that
    iteration. The engine writes the model first, and each file whole or not at all.
    """
    found = [
        (int(m["iteration"]), name)
        for name, size in sizes.items()
        if (m := _STATE.fullmatch(name)) and size and any(sizes.get(f"{m['stem']}.caffemodel{h}") for h in ("", ".h5"))
    ]
    return max(found)[::-1] if found else None


def read_object(data: bytes | None) -> dict[str, Any] | None:
    """What a JSON file holds, or None where there is none, or it is not whole."""
    if not data:
        return None
    try:
        values = json.loads(data)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
