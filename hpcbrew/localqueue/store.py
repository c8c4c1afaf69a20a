"""The queue's jobs, in SQLite. Every change is one transaction; slots are taken and tested inside one."""

import fcntl
import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from engine import schema
from engine.schema import Malformed
from hpcbrew import paths

HISTORY = 14 * 24 * 3600  # seconds for which a finished job is shown: PBS's default
SETTLING = 10.0  # seconds within which a runner takes a job, or ends
SUFFIX = ".local"
ID = re.compile(r"(?P<seq>[0-9]{1,18})(?P<brackets>\[(?P<index>[0-9]{0,9})\])?")


def _option(name: str) -> str:
    """Returns the SQL for one of the options, guarded since a row with invalid JSON would make the whole query fail."""
    return f"CASE WHEN json_valid(options) THEN json_extract(options, '$.{name}') END"


RUNNABLE = f"{_option('array')} IS NULL"
LISTED = f"{_option('array_of')} IS NULL"

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, state TEXT, substate INTEGER, workdir TEXT, options TEXT,
    environment TEXT, comment TEXT DEFAULT '', exit_status INTEGER, held INTEGER DEFAULT 0, deleted_by TEXT,
    slot INTEGER, process_group INTEGER, ctime REAL, stime REAL, etime REAL
)
"""


@dataclass(frozen=True)
class Job:
    """A row. `options`: what the script's directives request (see `directives`)."""

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
        """The number of the array to which the job belongs."""
        return self.options.get("array_of")


def folder() -> Path:
    """Returns the folder for the queue's database, its locks and the submitted scripts."""
    return paths.data_home() / "queue"


def script(seq: int) -> Path:
    """Returns the script of a job that is not part of an array, or of an array."""
    return folder() / "scripts" / f"{seq}.pbs"


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """Yields the database with the write lock held, so that no other process changes jobs or takes slots meanwhile."""
    paths.private_folder(folder() / "scripts")
    db = sqlite3.connect(paths.private_file(folder() / "queue.db"), timeout=60, isolation_level=None)
    db.text_factory = os.fsdecode
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute(SCHEMA)
        yield db
        db.execute("COMMIT")
    finally:
        db.close()


def add(db: sqlite3.Connection, name: str, workdir: str, options: dict[str, Any], environment: dict[str, str]) -> int:
    row = (name, "Q", 10, workdir, json.dumps(options), json.dumps(environment), time.time())
    cursor = db.execute(
        "INSERT INTO jobs(name, state, substate, workdir, options, environment, ctime) VALUES (?,?,?,?,?,?,?)", row
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def jobs(db: sqlite3.Connection, condition: str = "1", values: tuple[Any, ...] = ()) -> list[Job]:
    """Returns the jobs in matching rows. Leaves out malformed rows, after a message on standard error."""
    cursor = db.execute(f"SELECT * FROM jobs WHERE {condition} ORDER BY seq", values)  # noqa: S608
    names = [column[0] for column in cursor.description]
    records = []
    for row in cursor:
        try:
            records.append(_job(dict(zip(names, row, strict=True))))
        except Malformed as error:
            print(f"{folder() / 'queue.db'}: the entry of job {row[0]} is damaged: {error}", file=sys.stderr)
    return records


def add_array(
    db: sqlite3.Connection, name: str, workdir: str, options: dict[str, Any], environment: dict[str, str]
) -> int:
    """Adds an array: one row that is never run itself, and one for each of its jobs."""
    seq = add(db, name, workdir, options, environment)
    first, last = options["array"]
    job_options = {key: value for key, value in options.items() if key != "array"}
    for index in range(first, last + 1):
        add(db, name, workdir, {**job_options, "array_of": seq, "array_index": index}, environment)
    return seq


def find(db: sqlite3.Connection, job_id: str) -> Job | None:
    """Returns the job with that id, with or without the queue's suffix. An array must be named with its brackets."""
    match = ID.fullmatch(job_id.removesuffix(SUFFIX))
    if match is None:
        return None
    seq, brackets, index = int(match["seq"]), match["brackets"], match["index"]
    if index:
        of_array = f"{_option('array_of')} = ? AND {_option('array_index')} = ?"
        matches = jobs(db, of_array, (seq, int(index)))
    else:
        matches = [
            job for job in jobs(db, "seq = ?", (seq,)) if job.is_array == bool(brackets) and job.array_of is None
        ]
    return matches[0] if matches else None


def members(db: sqlite3.Connection, array: int) -> list[Job]:
    """Returns the jobs of an array, in the order of their indices."""
    return jobs(db, f"{_option('array_of')} = ?", (array,))


def change(db: sqlite3.Connection, seq: int, **values: Any) -> None:
    sets = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE jobs SET {sets} WHERE seq = ?", (*values.values(), seq))  # noqa: S608


def end(db: sqlite3.Connection, seq: int, *, substate: int, exit_status: int | None, comment: str) -> None:
    """Records a job's end, and that of its array if it was the last."""
    change(db, seq, state="F", substate=substate, exit_status=exit_status, comment=comment, etime=time.time())
    (job,) = jobs(db, "seq = ?", (seq,))
    if job.array_of is None:
        return
    siblings = members(db, job.array_of)
    if all(sibling.state == "F" for sibling in siblings):
        (array,) = jobs(db, "seq = ?", (job.array_of,))
        failed = any(sibling.exit_status != 0 for sibling in siblings)
        substate, ending = (91, "terminated") if array.deleted_by else (93, "failed") if failed else (92, "finished")
        end(db, array.seq, substate=substate, exit_status=0, comment=f"Job Array {ending}")


def forget(db: sqlite3.Connection) -> None:
    """Deletes jobs that ended longer ago than the history lasts."""
    old_jobs = jobs(db, "state = 'F' AND etime < ?", (time.time() - HISTORY,))
    for job in old_jobs:
        db.execute("DELETE FROM jobs WHERE seq = ?", (job.seq,))
        script(job.seq).unlink(missing_ok=True)


def slot_lock(slot: int) -> Path:
    """Returns the file that is locked by whoever runs jobs on the slot."""
    return folder() / f"slot-{slot}.lock"


def take_slot(slot: int) -> IO[bytes] | None:
    """Returns the slot's lock, held as long as this file is open anywhere; None if it is taken. Call it inside a
    transaction."""
    file = paths.private_file(slot_lock(slot)).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    os.set_inheritable(file.fileno(), False)
    return file


def none_at_work(db: sqlite3.Connection, since: float) -> bool:
    """Whether no job has run for a while (at most since that time, in Unix seconds). Slots may still be taken by what a
    job has left behind: runners kill that, except what they cannot see (macOS has no /proc) or may not kill."""
    if db.execute("SELECT 1 FROM jobs WHERE state IN ('R', 'E')").fetchone():
        return False
    (last_end,) = db.execute("SELECT max(etime) FROM jobs WHERE typeof(etime) = 'real'").fetchone()
    return time.time() - max(last_end or 0.0, since) > SETTLING


def mark_lost(db: sqlite3.Connection) -> None:
    """Ends jobs recorded as running on a slot that nobody holds: the runner was killed, or the machine restarted."""
    for job in jobs(db, "state IN ('R', 'E')"):
        lock = take_slot(job.slot or 0)
        if lock is not None:
            lock.close()
            reason = "its runner was killed or the machine restarted while it ran"
            end(db, job.seq, substate=93, exit_status=None, comment=reason)


def _job(row: dict[str, Any]) -> Job:
    """Reads a row. Raises Malformed."""
    values = {name: schema.field(row, name, check) for name, check in _ROW.items()}
    for name in ("options", "environment"):
        text = schema.field(row, name, schema.text(most=2**24))
        values[name] = _ROW_OBJECTS[name](schema.read_object(text.encode(errors="surrogateescape"), 2**24))
    return Job(**values)


_TEXT, _WHOLE, _TIME = schema.text(most=65536), schema.none_or(schema.whole()), schema.none_or(schema.seconds)
_ROW: dict[str, schema.Check[Any]] = {
    "seq": schema.whole(1),
    "name": _TEXT,
    "state": schema.one_of("Q", "H", "R", "E", "F"),
    "substate": schema.whole(),
    "workdir": _TEXT,
    "comment": schema.none_or(schema.words),
    "exit_status": _WHOLE,
    "held": lambda value: bool(schema.whole(0, 1)(value)),
    "deleted_by": schema.none_or(_TEXT),
    "slot": _WHOLE,
    "process_group": _WHOLE,
    "ctime": schema.seconds,
    "stime": _TIME,
    "etime": _TIME,
}


def _options(values: Any) -> dict[str, Any]:
    """Checks the options that `directives` returns. Raises Malformed if one that is used has the wrong type."""
    for name in ("ncpus", "ngpus", "nodes"):
        schema.field(values, name, schema.whole(0, 10**6))
    schema.field(values, "queue", _TEXT)
    for name, check in (
        ("walltime", schema.whole(1)),
        ("output", _TEXT),
        ("depend", _TEXT),
        ("array_of", schema.whole(1)),
        ("array_index", schema.whole(0)),
        ("array", schema.listing(schema.whole(0), 2)),
    ):
        schema.field(values, name, check, None)
    return dict(values)


_ROW_OBJECTS: dict[str, schema.Check[dict[str, Any]]] = {
    "options": _options,
    "environment": schema.table(_TEXT, _TEXT),
}
