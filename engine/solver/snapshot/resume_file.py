"""PREFIX_iter_N.resume.json: what a resumed run needs besides Caffe's state to continue as if it had never stopped.

The file is not trusted: it is checked against the schema below before any of it is used.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import schema
from engine.errors import SnapshotError
from engine.host import regular_file
from engine.schema import Malformed, field, listing, none_or, table, text, whole

VERSION = 1
LARGEST = 1 << 28
"""The most bytes that are read; only recurrent state makes such a file large."""

Positions = dict[str, dict[str, Any]]
"""By layer, the value of its source's `state`; the source checks it when it is restored."""


@dataclass(frozen=True)
class BestTest:
    """The best test so far; see `best_tracker.Best`."""

    best: float | None
    iteration: int
    tests_since: int
    plateau: int


@dataclass(frozen=True)
class SetUp:
    """The run's configuration, as returned by `fingerprint.of`."""

    type: str
    iter_size: int
    devices: int
    data: dict[str, list[int]]
    layers: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Resume:
    """The content of the file.

    memories: recurrent state. losses: the last ones. kept: the iterations of the snapshots kept. sizes: the counts of
    batches of each size.
    """

    seed: int
    data: Positions
    test_data: list[Positions]
    memories: list[np.ndarray]
    losses: list[float]
    kept: list[int]
    sizes: dict[str, int]
    watch: BestTest | None
    run: SetUp


def written(content: Mapping[str, Any]) -> bytes:
    """The bytes of a file with this content: the fields of `Resume`, without the version."""
    return json.dumps({"version": VERSION, **content}).encode()


def read(state: str | Path) -> Resume | None:
    """The resume file beside a solver state; None if there is none, as with a state that Caffe wrote.

    Raises SnapshotError naming the field that is wrong.
    """
    stem = re.sub(r"\.solverstate(\.h5)?$", "", str(state))
    path = Path(f"{stem}.resume.json")
    try:
        record = json.loads(regular_file.read(path, LARGEST))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as e:
        reason = e.strerror if isinstance(e, OSError) else e
        raise SnapshotError(f"{path}: cannot be read: {reason}. Remove it to resume as Caffe does.") from e
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise SnapshotError(f"{path}: not a resume file of version {VERSION}. Remove it to resume as Caffe does.")
    try:
        return _resume(record)
    except (Malformed, RecursionError) as e:
        reason = e if isinstance(e, Malformed) else "lists nested too deeply"
        raise SnapshotError(f"{path}: damaged: {reason}. Remove it to resume as Caffe does.") from e


def _resume(record: Mapping[str, Any]) -> Resume:
    return Resume(
        seed=field(record, "seed", whole(-(2**63), 2**64 - 1)),
        data=field(record, "data", _positions),
        test_data=list(field(record, "test_data", listing(_positions))),
        memories=list(field(record, "memories", listing(_array))),
        losses=list(field(record, "losses", listing(_loss))),
        kept=list(field(record, "kept", listing(whole(0)))),
        sizes=dict(field(record, "sizes", table(text(), whole(0)), default={})),  # earlier versions did not count
        watch=field(record, "watch", none_or(_best_test)),
        run=field(record, "run", _set_up),
    )


def _best_test(value: Any) -> BestTest:
    record = schema.mapping(value)
    return BestTest(
        best=field(record, "best", none_or(schema.number)),
        iteration=field(record, "iteration", whole(-1)),
        tests_since=field(record, "tests_since", whole(0)),
        plateau=field(record, "plateau", whole(-1)),
    )


def _set_up(value: Any) -> SetUp:
    record = schema.mapping(value)
    shapes = field(record, "data", table(text(), listing(whole())))
    return SetUp(
        type=field(record, "type", text()),
        iter_size=field(record, "iter_size", whole()),
        devices=field(record, "devices", whole(), default=1),  # earlier versions had one device, and did not write it
        data={blob: list(shape) for blob, shape in shapes.items()},
        layers=field(record, "layers", table(text(), text())),
    )


def _positions(value: Any) -> Positions:
    return table(text(), schema.mapping)(value)


def _loss(value: Any) -> float:
    """A number, perhaps not finite, as in a run that diverged."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise schema.wrong(value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise schema.wrong(value, "a number that a float can hold") from None


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, list | float | int) or isinstance(value, bool):
        raise schema.wrong(value, "nested lists of numbers")
    try:
        return np.asarray(value, np.float32)
    except (TypeError, ValueError, OverflowError) as e:
        raise Malformed(f"no array of numbers ({e})") from e
