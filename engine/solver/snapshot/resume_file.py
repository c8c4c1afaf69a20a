"""PREFIX_iter_N.resume.json: what a resumed run needs besides Caffe's state to go on as if it had never stopped.

It is read as what anybody may have written: against the schema below, before any of it is used.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.errors import SnapshotError
from engine.host import regular_file

VERSION = 1
LARGEST = 1 << 28
"""Bytes of the largest one read: recurrent state is all that makes one large."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
Positions = dict[str, dict[str, Any]]
"""By layer, what its source's `state` returned; the source checks it when it is restored."""


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, list | float | int):
        raise ValueError("nested lists of numbers are needed")
    try:
        return np.asarray(value, np.float32)
    except (TypeError, ValueError, OverflowError) as e:
        raise ValueError(f"no array of numbers ({e})") from e


Array = Annotated[np.ndarray, BeforeValidator(_array)]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, arbitrary_types_allowed=True)


class BestTest(_Record):
    """The best test so far; see `best_tracker.Best`."""

    best: float | None
    iteration: Annotated[int, Field(ge=-1)]
    tests_since: Count
    plateau: Annotated[int, Field(ge=-1)]


class SetUp(_Record):
    """What `fingerprint.of` made of the run."""

    type: str
    iter_size: int
    devices: int = 1  # earlier versions had one, and did not say so
    data: dict[str, list[int]]
    layers: dict[str, str]


class Resume(_Record):
    """The file. memories: recurrent state. losses: the last ones. kept: the iterations of the snapshots that stay."""

    version: Literal[1]
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)]
    data: Positions
    test_data: list[Positions]
    memories: list[Array]
    losses: list[float]
    kept: list[Count]
    watch: BestTest | None
    run: SetUp


def written(content: Mapping[str, Any]) -> bytes:
    """The file that says `content`: the fields of `Resume` but for the version."""
    return json.dumps({"version": VERSION, **content}).encode()


def read(state: str | Path) -> Resume | None:
    """What lies beside a solver state for an exact resume; None where nothing does (a state that Caffe wrote).

    Raises SnapshotError naming the field that is wrong.
    """
    stem = re.sub(r"\.solverstate(\.h5)?$", "", str(state))
    path = Path(f"{stem}.resume.json")
    try:
        found = json.loads(regular_file.read(path, LARGEST))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as e:
        reason = e.strerror if isinstance(e, OSError) else e
        raise SnapshotError(f"{path}: cannot be read: {reason}. Remove it to resume as Caffe does.") from e
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise SnapshotError(f"{path}: not a resume file of version {VERSION}. Remove it to resume as Caffe does.")
    try:
        return Resume.model_validate(found)
    except (ValidationError, RecursionError) as e:
        raise SnapshotError(f"{path}: damaged: {_first(e)}. Remove it to resume as Caffe does.") from e


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "lists in lists without end"
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}"
