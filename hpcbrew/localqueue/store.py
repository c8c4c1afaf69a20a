"""The queue's jobs, in SQLite. Every change is one transaction; slots are taken and tested inside of one."""

import fcntl
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hpcbrew import paths

HISTORY = 14 * 24 * 3600  # seconds that a finished job is shown for: PBS's default
SUFFIX = ".local"
ID = re.compile(r"(?P<seq>\d+)(?P<brackets>\[(?P<index>\d*)\])?")
RUNNABLE = "json_extract(options, '$.array') IS NULL"
LISTED = "json_extract(options, '$.array_of') IS NULL"

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, state TEXT, substate INTEGER, workdir TEXT, options TEXT,
    environment TEXT, comment TEXT DEFAULT '', exit_status INTEGER, held INTEGER DEFAULT 0, deleted_by TEXT,
    slot INTEGER, process_group INTEGER, ctime REAL, stime REAL, etime REAL
)
"""


@dataclass(frozen=True)
class Job:
    """A row. `options` is what the script's directives ask for (see `directives`)."""

    seq: int
    name: str
    state: str
    substate: int
    workdir: str
    options: dict[str, Any]
    environment: dict[str, str]
    comment: str
    exit_status: int | None
    held: bool
    deleted_by: str | None
    slot: int | None
    process_group: int | None
    ctime: float
    stime: float | None
    etime: float | None

    @property
    def id(self) -> str:
        """`12.local`; `12[].local` for an array; `12[4].local` for one of its jobs."""
        if self.array_of is not None:
            return f"{self.array_of}[{self.options['array_index']}]{SUFFIX}"
        return f"{self.seq}{'[]' if self.is_array else ''}{SUFFIX}"

    @property
    def is_array(self) -> bool:
        return "array" in self.options

    @property
    def array_of(self) -> int | None:
        """The number of the array that it is a job of."""
        return self.options.get("array_of")


def folder() -> Path:
    """Where the queue keeps its database, its locks and the scripts that were handed in."""
    return paths.data_home() / "queue"


def script(seq: int) -> Path:
    """The script of a job, or of the array that it is a job of."""
    return folder() / "scripts" / f"{seq}.pbs"


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """The database, with the write lock held: no other process changes jobs or takes slots meanwhile."""
    paths.private_folder(folder() / "scripts")
    db = sqlite3.connect(paths.private_file(folder() / "queue.db"), timeout=60, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute(SCHEMA)
        yield db
        db.execute("COMMIT")
    finally:
        db.close()


def add(db: sqlite3.Connection, name: str, workdir: str, options: dict[str, Any], environment: dict[str, str]) -> int:
    held = bool(options.get("hold"))
    state, substate = ("H", 20) if held else ("Q", 10)
    row = (name, state, substate, workdir, json.dumps(options), json.dumps(environment), held, time.time())
    cursor = db.execute(
        "INSERT INTO jobs(name, state, substate, workdir, options, environment, held, ctime) VALUES (?,?,?,?,?,?,?,?)",
        row,
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def jobs(db: sqlite3.Connection, where: str = "1", values: tuple[Any, ...] = ()) -> list[Job]:
    cursor = db.execute(f"SELECT * FROM jobs WHERE {where} ORDER BY seq", values)  # noqa: S608
    names = [column[0] for column in cursor.description]
    return [_job(dict(zip(names, row, strict=True))) for row in cursor]


def add_array(
    db: sqlite3.Connection, name: str, workdir: str, options: dict[str, Any], environment: dict[str, str]
) -> int:
    """An array is a row that is never run itself, and one for each of its jobs."""
    seq = add(db, name, workdir, options, environment)
    first, last = options["array"]
    plain = {key: value for key, value in options.items() if key != "array"}
    for index in range(first, last + 1):
        add(db, name, workdir, {**plain, "array_of": seq, "array_index": index}, environment)
    return seq


def find(db: sqlite3.Connection, job_id: str) -> Job | None:
    """The job of that id, with or without the queue's own suffix. An array is known by its brackets only."""
    match = ID.fullmatch(job_id.removesuffix(SUFFIX))
    if match is None:
        return None
    seq, brackets, index = int(match["seq"]), match["brackets"], match["index"]
    if index:
        of_array = "json_extract(options, '$.array_of') = ? AND json_extract(options, '$.array_index') = ?"
        found = jobs(db, of_array, (seq, int(index)))
    else:
        found = [job for job in jobs(db, "seq = ?", (seq,)) if job.is_array == bool(brackets) and job.array_of is None]
    return found[0] if found else None


def members(db: sqlite3.Connection, array: int) -> list[Job]:
    """The jobs of an array, by their index."""
    return jobs(db, "json_extract(options, '$.array_of') = ?", (array,))


def change(db: sqlite3.Connection, seq: int, **values: Any) -> None:
    sets = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE jobs SET {sets} WHERE seq = ?", (*values.values(), seq))  # noqa: S608


def end(db: sqlite3.Connection, seq: int, *, substate: int, exit_status: int | None, comment: str) -> None:
    """A job's end, and that of its array where it was the last."""
    change(db, seq, state="F", substate=substate, exit_status=exit_status, comment=comment, etime=time.time())
    (job,) = jobs(db, "seq = ?", (seq,))
    if job.array_of is None:
        return
    others = members(db, job.array_of)
    if all(other.state == "F" for other in others):
        (array,) = jobs(db, "seq = ?", (job.array_of,))
        failed = any(other.exit_status != 0 for other in others)
        substate, how = (91, "terminated") if array.deleted_by else (93, "failed") if failed else (92, "finished")
        end(db, array.seq, substate=substate, exit_status=0, comment=f"Job Array {how}")


def forget(db: sqlite3.Connection) -> None:
    """Takes out what ended longer ago than the history lasts."""
    old = jobs(db, "state = 'F' AND etime < ?", (time.time() - HISTORY,))
    for job in old:
        db.execute("DELETE FROM jobs WHERE seq = ?", (job.seq,))
        script(job.seq).unlink(missing_ok=True)


def take_slot(slot: int) -> IO[bytes] | None:
    """The slot's lock, held as long as this file is open anywhere; None where it is taken. Inside a transaction."""
    file = paths.private_file(folder() / f"slot-{slot}.lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    os.set_inheritable(file.fileno(), False)
    return file


def mark_lost(db: sqlite3.Connection) -> None:
    """A job said to run on a slot that nobody holds was lost: its runner was killed, or the machine restarted."""
    for job in jobs(db, "state IN ('R', 'E')"):
        assert job.slot is not None
        lock = take_slot(job.slot)
        if lock is not None:
            lock.close()
            gone = "its runner was killed or the machine restarted while it ran"
            end(db, job.seq, substate=93, exit_status=None, comment=gone)


def _job(row: dict[str, Any]) -> Job:
    options, environment = json.loads(row.pop("options")), json.loads(row.pop("environment"))
    row["held"] = bool(row["held"])
    return Job(options=options, environment=environment, **row)
