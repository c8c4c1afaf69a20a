"""Reads job.json, the description of the job in a run folder."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from engine import schema
from hpcbrew import layout, train_flags
from hpcbrew.errors import TransportError
from hpcbrew.job import MOST_POINTS, NAME, TOKEN, WORD, WORDS, After
from hpcbrew.schedulers.pbs import JOB_ID

DESCRIBED = 64 * 2**20
"""The most bytes of a job.json: enough for a sweep of ten thousand points."""


@dataclass(frozen=True)
class JobDescription:
    """The description of a job; for one job of an array, the description of the array.

    `overrides`: what --set changed, by solver field; `points`: for a sweep, those of each of its points. `resources`:
    the fields of job.Resources, each of its type. `definitions`: the names of the prototxt files in the run folder,
    none of which leads out of it or is the name of another file there. `snapshot`: the state it started from, relative
    to the folder. `layers`: the modules that define layers from outside the tree. `flags`: those for the engine's
    training.
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
        """Returns what was set for one point of a sweep, counted from 1, together with what was set for all points; for
        a job that is not a point, just the latter. Raises TransportError for a point that the sweep does not have."""
        if point is None:
            return self.overrides
        if not 1 <= point <= len(self.points):
            raise TransportError(f"{self.name}[{point}]: the sweep has the points 1 to {len(self.points)}")
        return {**self.overrides, **self.points[point - 1]}

    @property
    def is_sequence(self) -> bool:
        """Whether it is several successive scheduler jobs: a chain, or a job that waits for one."""
        return self.links != 1 or bool(self.after and self.after.folder)


def read_description(data: bytes | None) -> JobDescription | None:
    """Reads the contents of job.json; None if there is no such file. Raises Malformed."""
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
    """Reads a job's name, token and solver path from job.json; None if there is no such file. Raises Malformed."""
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
"""File names that no definition may have: it would replace the new job's own file."""


def _resources(values: dict[str, Any]) -> dict[str, Any]:
    """Checks the type of each resource that is given. The number of nodes is required."""
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
    """Checks the name of a file in the run folder or in the folder of a point; a Python layer's module may be
    deeper."""
    name = schema.text()(value)
    path = re.sub(f"{layout.POINTS}/[0-9]{{1,9}}/", "", name, count=1) if name.startswith(layout.POINTS) else name
    module = _MODULE.fullmatch(path)
    if module and module[1] not in (layout.POINTS, layout.SNAPSHOTS):
        return name
    if "/" in path or path in {"", ".", "..", *_OWN} or path.startswith(".hpcbrew"):
        raise schema.wrong(name, "the name of a definition in its run folder")
    return name
