"""What job.json says: what the job of a run folder is, as it was written down with it."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from engine import schema
from hpcbrew import layout, train_flags
from hpcbrew.errors import TransportError
from hpcbrew.job import NAME, TOKEN, WORD, WORDS, After
from hpcbrew.schedulers.pbs import JOB_ID

DESCRIBED = 64 * 2**20
"""Bytes of the largest job.json: that of a sweep of ten thousand points."""

MOST_POINTS = 100_000
"""Points of the largest sweep whose description is read: no PBS takes an array of so many jobs."""


@dataclass(frozen=True)
class JobDescription:
    """What a job is, as it was written down with it; of one job of an array, what the array is.

    `overrides`: what --set changed, by its name in the solver; `points`: of a sweep, those of each of its points.
    `resources`: the fields of plan.resources.Resources, each of its kind. `definitions`: the names of the prototxt
    files in the folder, none of which leads out of it, or is that of another file there. `snapshot`: the state that it
    began with, as seen from there. `layers`: the modules of layers from outside of the tree that went along.
    `flags`: of the engine's training.
    """

    name: str
    overrides: dict[str, str]
    resources: dict[str, Any]
    links: int | None
    engine: Literal["own", "module"]
    after: After | None
    definitions: tuple[str, ...]
    points: tuple[dict[str, str], ...] = ()
    snapshot: str | None = None
    layers: tuple[str, ...] = ()
    flags: train_flags.TrainFlags = ()

    @property
    def nodes(self) -> int:
        return int(self.resources["nodes"])

    def settings(self, point: int | None) -> dict[str, str]:
        """What was set for one point of a sweep, counted from 1, beside what was for all; for a job that is none, just
        that. Raises TransportError for a point that the sweep does not have."""
        if point is None:
            return self.overrides
        if not 1 <= point <= len(self.points):
            raise TransportError(f"{self.name}[{point}]: the sweep has the points 1 to {len(self.points)}")
        return {**self.overrides, **self.points[point - 1]}

    @property
    def is_sequence(self) -> bool:
        """Whether it is several of the scheduler's jobs, one after the other: a chain, or one that waits for such."""
        return self.links != 1 or bool(self.after and self.after.folder)


def read_description(data: bytes | None) -> JobDescription | None:
    """What job.json says, or None where there is none. Raises Malformed."""
    if data is None:
        return None
    values = schema.read_object(data, DESCRIBED)
    return JobDescription(
        name=schema.field(values, "name", _NAME, ""),
        overrides=schema.field(values, "set", _SETTINGS),
        resources=_resources(schema.field(values, "resources", schema.table(_WORD, lambda value: value))),
        links=schema.field(values, "links", schema.none_or(schema.whole(1))),
        engine=schema.field(values, "engine", _ENGINE),
        after=schema.field(values, "after", schema.none_or(_after)),
        definitions=schema.field(values, "definitions", schema.listing(_definition)),
        points=schema.field(values, "points", schema.listing(_SETTINGS, MOST_POINTS), ()),
        snapshot=schema.field(values, "snapshot", schema.none_or(schema.text()), None),
        layers=schema.field(values, "layers", schema.listing(schema.text(_DOTTED, "the name of a module")), ()),
        flags=schema.field(values, "flags", schema.listing(train_flags.read), ()),
    )


def read_identity(data: bytes | None) -> tuple[str, str, str] | None:
    """A job's name, its token and its solver's path by job.json; None where there is none. Raises Malformed."""
    if data is None:
        return None
    values = schema.read_object(data, DESCRIBED)
    return (
        schema.field(values, "name", _NAME),
        schema.field(values, "token", schema.text(TOKEN, "eight hexadecimal digits")),
        schema.field(values, "solver", lambda value: schema.words(value, 4096), ""),
    )


_NAME = schema.text(NAME, "a job's name: a letter, then letters, digits and _ . + -", most=255)
_WORD = schema.text(WORD, WORDS, most=255)
_SETTINGS = schema.table(schema.text(most=255), schema.text(most=65536))
_ENGINE: schema.Check[Any] = schema.one_of("own", "module")
_RESOURCES: dict[str, schema.Check[Any]] = {
    "nodes": schema.whole(1),
    "gpus": schema.whole(0),
    "cpus": schema.whole(1),
    "mem": schema.none_or(schema.whole(1)),
    "walltime": schema.whole(1),
    "queue": schema.none_or(_WORD),
    "project": schema.none_or(_WORD),
    "select": schema.table(_WORD, _WORD),
}
_MODULE = re.compile(r"([A-Za-z_]\w*)(/[A-Za-z_]\w*)+\.py")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_OWN = {
    layout.JOB, layout.SCRIPT, layout.ID, layout.LINK_IDS, layout.LINKS, layout.WAITED, layout.CANCELLED, layout.LOG,
    layout.SCHEDULER_LOG, layout.PROGRESS, layout.METRICS, layout.EXIT, layout.SNAPSHOTS,
}  # fmt: skip
"""Names in a run folder that no definition has: one of these would take the place of the new job's own file."""


def _resources(values: dict[str, Any]) -> dict[str, Any]:
    """Those that are there, each of its kind. How many nodes there are is always said."""
    schema.field(values, "nodes", schema.whole(1))
    return {key: schema.field(values, key, check) for key, check in _RESOURCES.items() if key in values}


def _after(value: Any) -> After:
    values = schema.table(schema.text(), lambda inner: inner)(value)
    return After(
        schema.field(values, "id", schema.text(JOB_ID, "the id of a job")),
        schema.field(values, "name", _NAME),
        schema.field(values, "folder", schema.none_or(schema.text()), None),
    )


def _definition(value: Any) -> str:
    """A file of the run folder, or of the folder of one of its points; a Python layer's module may lie deeper."""
    name = schema.text()(value)
    own = re.sub(f"{layout.POINTS}/[0-9]{{1,9}}/", "", name, count=1) if name.startswith(layout.POINTS) else name
    module = _MODULE.fullmatch(own)
    if module and module[1] not in (layout.POINTS, layout.SNAPSHOTS):
        return name
    if "/" in own or own in {"", ".", "..", *_OWN} or own.startswith(".hpcbrew"):
        raise schema.wrong(name, "the name of a definition in its run folder")
    return name
