"""Reads a run folder on scratch: the job's description, its exit record, its progress, its snapshots."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from engine import schema
from engine.job_contract import ERROR_PREFIX
from engine.printable import printable
from engine.schema import Malformed
from hpcbrew import layout
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState, iso
from hpcbrew.schedulers.pbs import JOB_ID
from hpcbrew.track.job_description import DESCRIBED, JobDescription, read_description
from hpcbrew.track.log_tail import last_bytes
from hpcbrew.transports.base import Contents, NoRecord, Transport

# Snapshot names go into scripts and messages: they must be plain file names of visible characters.
_STATE = re.compile(r"(?P<stem>[^/]*_iter_(?P<iteration>[0-9]{1,15}))\.solverstate(\.h5)?")
_SNAPSHOT = re.compile(r"_iter_([0-9]{1,15})\.caffemodel(\.h5)?")

COMPLAINT = 10_000
"""The most characters shown of an engine's message."""

_MOST_IDS = 10_000

LOG_END = 2**18
"""Bytes at the end of a log that are searched for the engine's last message."""


@dataclass(frozen=True)
class ExitRecord:
    """What the script wrote when it ended: its exit status, the time (Unix seconds), the host, and the reason if
    known."""

    status: int
    time: float
    host: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Best:
    """The best value so far of a test output, and its iteration."""

    value: float
    iteration: int


@dataclass(frozen=True)
class Progress:
    """What the engine reports while it trains, as in engine.job_contract.ProgressRecord. Rates are per second, times in
    seconds; None if the engine does not say."""

    iteration: int
    max_iter: int
    loss: float | None = None
    lr: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    time: float | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    tested: int | None = None
    best: dict[str, Best] = field(default_factory=dict)
    began: float | None = None
    diverged: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns it as the engine writes it, with times in ISO format."""
        return {**asdict(self), "time": iso(self.time), "began": iso(self.began)}


@dataclass(frozen=True)
class FolderRecords:
    """The changing records in a run folder: the exit record, the progress, the scheduler's ids.

    `fault`: which of these records are malformed, and why; these count as missing. `past`: the number of ids, from the
    first, that belong to links of a chain that are over and need not be queried. `cancelled`: whether `hpcbrew cancel`
    was called.
    """

    exit: ExitRecord | None = None
    progress: Progress | None = None
    ids: tuple[str, ...] = ()
    fault: str = ""
    past: int = 0
    cancelled: bool = False

    @property
    def asked(self) -> tuple[str, ...]:
        """The ids to query at the scheduler."""
        return self.ids[self.past :]

    @property
    def went_well(self) -> bool:
        return self.exit is not None and self.exit.status == 0


def describe(record: JobRecord, transport: Transport) -> JobDescription:
    """Reads a job's description from its run folder. Raises TransportError if it is missing or cannot be read."""
    path = described_in(record) / layout.JOB
    try:
        description = read_description(transport.read(path, 0, DESCRIBED + 1))
        reason = ""
    except Malformed as error:
        description, reason = None, f": {error}"
    if description is None:
        raise TransportError(f"{path}: the description of {record.name} is missing or cannot be read{reason}")
    return description


def described_in(record: JobRecord) -> PurePosixPath:
    """Returns the folder of a job's description: its own, or for one job of an array, the array's."""
    return record.run_folder if record.point is None else record.run_folder.parents[1]


def model(record: JobRecord, transport: Transport) -> PurePosixPath | None:
    """Returns the job's newest model; None if there is none yet."""
    folder = record.run_folder / layout.SNAPSHOTS
    name = newest_model(transport.names(folder))
    return folder / name if name else None


def complaint(record: JobRecord, transport: Transport) -> str | None:
    """Returns the engine's own message if it refused the job; None if it did not."""
    if record.status.state is not JobState.FAILED:
        return None
    log = last_bytes(transport, record.run_folder / layout.LOG, LOG_END).decode(errors="replace")
    _, prefix, words = log.rpartition(ERROR_PREFIX)
    return words.strip()[:COMPLAINT] if prefix else None


def read_records(exit_data: Contents, progress: Contents, *ids: Contents) -> FolderRecords:
    """Reads those records of a run folder that exist. A malformed one is noted as a fault, and does not affect the
    others."""
    values: list[Any] = []
    faults = []
    parts = (
        (layout.EXIT, read_exit, exit_data),
        (layout.PROGRESS, read_progress, progress),
        *((layout.ID, read_ids, data) for data in ids),
    )
    for name, read, data in parts:
        try:
            values.append(read(held(data)))
        except Malformed as error:
            values.append(() if read is read_ids else None)
            faults.append(f"{name} {error}" if str(error).startswith(("is ", "holds ")) else f"{name}: {error}")
    exit_record, training, *id_lists = values
    return FolderRecords(
        exit_record, training, tuple(dict.fromkeys(i for id_list in id_lists for i in id_list)), "; ".join(faults)
    )


def held(contents: Contents) -> bytes | None:
    """Returns the contents of a small file; None if it does not exist. Raises Malformed if it is not one."""
    if isinstance(contents, NoRecord):
        raise Malformed(contents.reason)
    return contents


def read_ids(data: bytes | None) -> tuple[str, ...]:
    """Reads the scheduler's ids of the job, in the order of submission; empty if there are none yet.

    Raises Malformed for more ids than any job has.
    """
    lines = (line.strip() for line in (data or b"").decode(errors="replace").splitlines())
    ids = tuple(dict.fromkeys(line for line in lines if len(line) < 256 and JOB_ID.fullmatch(line)))
    if len(ids) > _MOST_IDS:
        raise Malformed(f"holds {len(ids)} ids, but no job has more than {_MOST_IDS}")
    return ids


def read_exit(data: bytes | None) -> ExitRecord | None:
    """Reads the exit record; None if there is none yet. Raises Malformed."""
    if not data:
        return None
    values = schema.read_object(data)
    return ExitRecord(
        schema.field(values, "status", schema.whole(-(2**31), 2**31 - 1)),
        schema.field(values, "time", schema.seconds, 0),
        schema.field(values, "host", schema.words, ""),
        schema.field(values, "reason", schema.words, ""),
    )


def read_progress(data: bytes | None) -> Progress | None:
    """Reads the progress record; None if there is none yet. Ignores fields that a newer engine may add.

    Raises Malformed.
    """
    if not data:
        return None
    values = schema.read_object(data)
    figure, span = schema.none_or(schema.number), schema.none_or(schema.seconds)
    return Progress(
        iteration=schema.field(values, "iteration", schema.whole(0)),
        max_iter=schema.field(values, "max_iter", schema.whole(0)),
        loss=schema.field(values, "loss", figure, None),
        lr=schema.field(values, "lr", figure, None),
        images_per_second=schema.field(values, "images_per_second", figure, None),
        seconds_left=schema.field(values, "seconds_left", span, None),
        time=schema.field(values, "time", span, None),
        outputs=schema.field(values, "outputs", _OUTPUTS, {}),
        tested=schema.field(values, "tested", _ITERATION, None),
        best=schema.field(values, "best", schema.table(schema.text(), _best), {}),
        began=schema.field(values, "began", span, None),
        diverged=schema.field(values, "diverged", _ITERATION, None),
    )


def read_metrics(data: bytes | None) -> list[dict[str, Any]]:
    """Reads the objects of metrics.jsonl for displays and tests, as the engine writes them. Skips anything else, such
    as an incomplete line."""
    lines = (data or b"")[: (data or b"").rfind(b"\n") + 1]
    return [values for line in lines.split(b"\n") if (values := _metrics(line)) is not None]


def _metrics(line: bytes) -> dict[str, Any] | None:
    """Reads one line; a newer engine may have added fields."""
    try:
        values = schema.read_object(line)
        phase = schema.field(values, "phase", schema.one_of("train", "test"))
        schema.field(values, "iteration", schema.whole(0))
        for name in ("loss", "lr"):
            schema.field(values, name, schema.none_or(schema.number), None)
        schema.field(values, "net", schema.whole(0), 0)
        schema.field(values, "time", schema.none_or(schema.seconds), None)
        schema.field(values, "outputs", _OUTPUTS, *(() if phase == "test" else ({},)))
    except Malformed:
        return None
    return values


def _figure(value: Any) -> Any:
    """Checks a number, null (not finite), or a list of these."""
    if isinstance(value, list):
        return list(schema.listing(_figure)(value))
    return schema.none_or(schema.number)(value)


def _best(value: Any) -> Best:
    values = schema.mapping(value)
    return Best(schema.field(values, "value", schema.number), schema.field(values, "iteration", schema.whole(0)))


_ITERATION = schema.none_or(schema.whole(0))
_OUTPUTS = schema.table(schema.text(), _figure)


def newest_model(names: list[str]) -> str | None:
    """Returns the model of the highest iteration among the files in a snapshots folder."""
    visible = filter(_seen, names)
    models = [(int(m[1]), name) for name in visible if (m := _SNAPSHOT.search(name)) and m.end() == len(name)]
    return max(models)[1] if models else None


def _seen(name: str) -> bool:
    return "/" not in name and printable(name, one_line=True) == name


def newest_state(sizes: Mapping[str, int]) -> tuple[str, int] | None:
    """Returns the solver state of the highest iteration whose model exists too, among the files in a snapshots folder,
    and that iteration. The engine writes the model first, and each file atomically.
    """
    states = [
        (int(m["iteration"]), name)
        for name, size in sizes.items()
        if _seen(name)
        and (m := _STATE.fullmatch(name))
        and size
        and any(sizes.get(f"{m['stem']}.caffemodel{h}") for h in ("", ".h5"))
    ]
    return max(states)[::-1] if states else None
