"""What lies in a run folder on scratch, read: what the job is, its exit record, its progress, its snapshots."""

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

# Names of snapshots go into scripts and messages: one file, of characters that are seen.
_STATE = re.compile(r"(?P<stem>[^/]*_iter_(?P<iteration>[0-9]{1,15}))\.solverstate(\.h5)?")
_SNAPSHOT = re.compile(r"_iter_([0-9]{1,15})\.caffemodel(\.h5)?")

COMPLAINT = 10_000
"""Characters of an engine's message that are shown at most."""

_MOST_IDS = 10_000

LOG_END = 2**18
"""Bytes of a log in which the engine's last words are looked for."""


@dataclass(frozen=True)
class ExitRecord:
    """What the script wrote at its end: its exit status, the time (Unix seconds), the host, and why, where it knows."""

    status: int
    time: float
    host: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Best:
    """The best value that an output of the tests has had, and at which iteration."""

    value: float
    iteration: int


@dataclass(frozen=True)
class Progress:
    """What the engine says of itself while it trains, as engine.job_contract.ProgressRecord has it. Rates a second,
    times in seconds; None where it has no say."""

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
        """As the engine writes it; times in ISO form."""
        return {**asdict(self), "time": iso(self.time), "began": iso(self.began)}


@dataclass(frozen=True)
class FolderRecords:
    """What a run folder says of a job that is not described once: its exit record, its progress, the scheduler's ids.

    `fault`: which of these records are not what they should be, and why; they count as not there. `past`: so many of
    the ids, the first ones, are of links of a chain that are over, and of no use. `cancelled`: `hpcbrew cancel` was
    called.
    """

    exit: ExitRecord | None = None
    progress: Progress | None = None
    ids: tuple[str, ...] = ()
    fault: str = ""
    past: int = 0
    cancelled: bool = False

    @property
    def asked(self) -> tuple[str, ...]:
        """The ids that the scheduler is asked for."""
        return self.ids[self.past :]

    @property
    def went_well(self) -> bool:
        return self.exit is not None and self.exit.status == 0


def describe(record: JobRecord, transport: Transport) -> JobDescription:
    """What a job is, by its run folder. Raises TransportError where that is gone, or cannot be read."""
    path = described_in(record) / layout.JOB
    try:
        description = read_description(transport.read(path, 0, DESCRIBED + 1))
        why = ""
    except Malformed as error:
        description, why = None, f": {error}"
    if description is None:
        raise TransportError(f"{path}: the description of {record.name} is gone or cannot be read{why}")
    return description


def described_in(record: JobRecord) -> PurePosixPath:
    """The folder of a job's description: its own, or for one job of an array that of the array."""
    return record.run_folder if record.point is None else record.run_folder.parents[1]


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
    return words.strip()[:COMPLAINT] if refused else None


def read_records(exit_data: Contents, progress: Contents, *ids: Contents) -> FolderRecords:
    """What the files of a run folder say, whichever of them are there. One that says nothing sound is a fault of it,
    and of no other."""
    found: list[Any] = []
    faults = []
    parts = (
        (layout.EXIT, read_exit, exit_data),
        (layout.PROGRESS, read_progress, progress),
        *((layout.ID, read_ids, data) for data in ids),
    )
    for name, read, data in parts:
        try:
            found.append(read(held(data)))
        except Malformed as error:
            found.append(() if read is read_ids else None)
            faults.append(f"{name} {error}" if str(error).startswith(("is ", "holds ")) else f"{name}: {error}")
    ended, going, *some = found
    return FolderRecords(ended, going, tuple(dict.fromkeys(i for known in some for i in known)), "; ".join(faults))


def held(contents: Contents) -> bytes | None:
    """What a small file holds. Raises Malformed for what is none."""
    if isinstance(contents, NoRecord):
        raise Malformed(contents.why)
    return contents


def read_ids(data: bytes | None) -> tuple[str, ...]:
    """The scheduler's ids of the job, in the order of submission; none where there are none yet.

    Raises Malformed for more than any job has.
    """
    lines = (line.strip() for line in (data or b"").decode(errors="replace").splitlines())
    ids = tuple(dict.fromkeys(line for line in lines if len(line) < 256 and JOB_ID.fullmatch(line)))
    if len(ids) > _MOST_IDS:
        raise Malformed(f"holds {len(ids)} ids, and no job has more than {_MOST_IDS}")
    return ids


def read_exit(data: bytes | None) -> ExitRecord | None:
    """The exit record, or None where there is none yet. Raises Malformed."""
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
    """The progress record, or None where there is none yet. What a newer engine may add is left aside.

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
    """The objects of metrics.jsonl that are of a display or a test, as the engine writes them. What is none, as a line
    that is not whole, is left out."""
    whole = (data or b"")[: (data or b"").rfind(b"\n") + 1]
    return [values for line in whole.split(b"\n") if (values := _metrics(line)) is not None]


def _metrics(line: bytes) -> dict[str, Any] | None:
    """One line. Its engine may be a newer one, and say more."""
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
    """A number, null for one that is not finite, or a list of them."""
    if isinstance(value, list):
        return list(schema.listing(_figure)(value))
    return schema.none_or(schema.number)(value)


def _best(value: Any) -> Best:
    values = schema.mapping(value)
    return Best(schema.field(values, "value", schema.number), schema.field(values, "iteration", schema.whole(0)))


_ITERATION = schema.none_or(schema.whole(0))
_OUTPUTS = schema.table(schema.text(), _figure)


def newest_model(names: list[str]) -> str | None:
    """Of the files in a snapshots folder, the model of the highest iteration."""
    shown = filter(_seen, names)
    models = [(int(m[1]), name) for name in shown if (m := _SNAPSHOT.search(name)) and m.end() == len(name)]
    return max(models)[1] if models else None


def _seen(name: str) -> bool:
    return "/" not in name and printable(name, one_line=True) == name


def newest_state(sizes: Mapping[str, int]) -> tuple[str, int] | None:
    """Of the files in a snapshots folder, the solver state of the highest iteration whose model is there too; and that
    iteration. The engine writes the model first, and each file whole or not at all.
    """
    found = [
        (int(m["iteration"]), name)
        for name, size in sizes.items()
        if _seen(name)
        and (m := _STATE.fullmatch(name))
        and size
        and any(sizes.get(f"{m['stem']}.caffemodel{h}") for h in ("", ".h5"))
    ]
    return max(found)[::-1] if found else None
