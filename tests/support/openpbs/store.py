"""The jobs, in one file that is read, changed and written under a lock."""

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from support.openpbs.config import Config
from support.openpbs.errors import UNKNOWN_JOB, Refused

ID = re.compile(r"(?P<seq>\d+)(?P<brackets>\[(?P<index>\d*)\])?(\.(?P<server>[\w.-]+))?")
FINAL = ("F", "X")


@dataclass
class Job:
    """`attributes`: what qstat shows, flat (`Resource_List.ncpus`), times in Unix seconds. `own`: what only the
    stand-in knows. A subjob of an array becomes a Job when it starts; until then its index is in the array's `waiting`.
    """

    id: str
    attributes: dict[str, Any]
    own: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return str(self.attributes["job_state"])

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def is_array(self) -> bool:
        return "array" in self.attributes

    def set(self, **values: Any) -> None:
        """Sets attributes; None removes one."""
        for name, value in values.items():
            self.attributes[name] = value
            if value is None:
                del self.attributes[name]
        self.attributes["mtime"] = time.time()


@dataclass
class State:
    """The whole state. `following`: the number of the next job."""

    folder: Path
    config: Config
    following: int
    jobs: dict[str, Job]

    def find(self, job_id: str, command: str) -> Job:
        """The job with this id. Raises Refused for a malformed or unknown id. An array's id must have its brackets."""
        match = ID.fullmatch(job_id)
        if match is None or match["server"] not in (None, self.config.server):
            raise Refused(1, f"{command}: illegally formed job identifier: {job_id}")
        full = f"{match['seq']}{match['brackets'] or ''}.{self.config.server}"
        job = self.jobs.get(full) or self._waiting(match, full)
        if job is None:
            raise Refused(UNKNOWN_JOB[0], f"{command}: {UNKNOWN_JOB[1]} {full}")
        return job

    def _waiting(self, match: re.Match[str], full: str) -> Job | None:
        array = self.jobs.get(f"{match['seq']}[].{self.config.server}")
        return waiting(array, int(match["index"])) if array and match["index"] and full not in self.jobs else None

    def subjobs(self, array: Job) -> list[Job]:
        """All subjobs of an array, in the order of their indices."""
        seq, _, server = array.id.partition("[]")
        made = {i: self.jobs.get(f"{seq}[{i}]{server}") or waiting(array, i) for i in array.own["indices"]}
        return [job for job in made.values() if job is not None]


OF_ARRAYS = ("array", "array_state_count", "array_indices_submitted", "array_indices_remaining", "max_run_subjobs")


def waiting(array: Job, index: int) -> Job | None:
    """A subjob of an array that has not started: it looks like the array itself."""
    if index not in array.own["indices"]:
        return None
    ended = array.final or index in array.own["dropped"]
    left_out = (*OF_ARRAYS, "project", "Submit_Host", "history_timestamp")
    shown = {name: value for name, value in array.attributes.items() if name not in left_out}
    shown |= {"job_state": "Q", "substate": 10}
    if ended:
        shown |= {"job_state": "F" if array.final else "X", "substate": 91, "comment": "Subjob finished"}
    return Job(array.id.replace("[]", f"[{index}]"), shown, {"array": array.id, "index": index})


@contextlib.contextmanager
def opened(folder: Path, config: Config) -> Iterator[State]:
    """The state, locked for the block. Changes are written at its end, in one step."""
    path = folder / "jobs.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = json.loads(path.read_text()) if path.exists() else {"following": config.first, "jobs": {}}
        state = State(folder, config, kept["following"], {i: Job(**job) for i, job in kept["jobs"].items()})
        yield state
        kept = {"following": state.following, "jobs": {i: asdict(job) for i, job in state.jobs.items()}}
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(kept))
        new.replace(path)
