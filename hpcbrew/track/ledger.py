"""The ledger: every job submitted from this machine, in SQLite. A job is entered before anything is sent."""

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

from engine import schema
from engine.schema import Malformed
from engine.suggest import did_you_mean
from hpcbrew import full_disk, layout, paths
from hpcbrew.address import Address
from hpcbrew.errors import LedgerError
from hpcbrew.job import FINAL, NAME, JobRecord, JobState, JobStatus

VERSION = 2
SCHEMA = """
CREATE TABLE jobs(
    token TEXT PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, solver TEXT NOT NULL, submitted REAL NOT NULL,
    id TEXT, run_folder TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, exit_status INTEGER,
    cancel_asked INTEGER NOT NULL, outcome TEXT
);
CREATE INDEX jobs_by_state ON jobs(state);
"""
COLUMNS = "token, name, address, solver, submitted, id, run_folder, state, reason, exit_status, cancel_asked"
ENDED = ", ".join(f"'{state}'" for state in sorted(FINAL))

# `13[4]`, `13[4].pbs01`, `lenet[4]`
ONE_OF_ARRAY = re.compile(r"(?P<array>.+)\[(?P<index>[0-9]{1,9})\](?P<rest>\..*)?")

ROW = {
    "token": schema.text(re.compile(r"[\w.-]+"), "a job's token", most=255),
    "name": schema.text(NAME, "a job's name", most=255),
    "address": schema.text(),
    "solver": schema.text(most=65536),
    "submitted": schema.seconds,
    "id": schema.none_or(schema.text(re.compile(r"[\w.\[\]-]+"), "a job's id", most=255)),
    "run_folder": schema.text(re.compile(r"/.*", re.DOTALL), "an absolute path"),
    "state": schema.one_of(*JobState),
    "reason": schema.words,
    "exit_status": schema.none_or(schema.whole()),
    "cancel_asked": schema.whole(0, 1),
}
"""What each column may hold; checked because names and ids go into commands, paths and scripts."""


class Ledger:
    """May be used by several processes at once: each change is one transaction, and waits up to 30 s for its turn.

    `faults`: why rows that were read are malformed, by token. Such jobs are left out of the results.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or paths.data_home() / "ledger.db"
        self.faults: dict[str, str] = {}
        self._transaction: sqlite3.Connection | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Makes all changes inside the context one transaction, so that the states of hundreds of jobs are written at
        once."""
        with self._open() as db:
            self._transaction = db
            try:
                yield
            finally:
                self._transaction = None

    def intend(self, record: JobRecord) -> None:
        """Enters a job before it is sent."""
        self._insert("INSERT", record)

    def take_up(self, record: JobRecord) -> None:
        """Enters a job that another machine has sent; keeps the entry if another process has already made one."""
        self._insert("INSERT OR IGNORE", record)

    def _insert(self, verb: str, record: JobRecord) -> None:
        with self._open() as db:
            row = (
                record.token,
                record.name,
                json.dumps(asdict(record.address)),
                _stored(record.solver),
                record.submitted,
                record.id,
                _stored(str(record.run_folder)),
                *_columns(record.status),
                record.cancel_asked,
            )
            db.execute(f"{verb} INTO jobs({COLUMNS}) VALUES ({', '.join('?' * len(row))})", row)

    def accepted(self, token: str, job_id: str) -> None:
        """Records the id that the scheduler has given the job."""
        with self._open() as db:
            db.execute(
                "UPDATE jobs SET id = ?, state = ?, reason = '' WHERE token = ? AND id IS NULL",
                (job_id, str(JobState.QUEUED), token),
            )

    def withdraw(self, token: str) -> None:
        """Deletes a job that is known not to have been sent."""
        with self._open() as db:
            db.execute("DELETE FROM jobs WHERE token = ? AND id IS NULL", (token,))

    def forget(self, token: str) -> None:
        """Deletes a job that has ended, and whose run folder is gone. A job that has not ended stays."""
        with self._open() as db:
            db.execute(f"DELETE FROM jobs WHERE token = ? AND state IN ({ENDED})", (token,))  # noqa: S608

    def settle(self, token: str, status: JobStatus, outcome: str | None = None) -> None:
        """Records a job's state, and for an ended job its outcome (see `outcome.Outcome`). The entry of an ended job is
        not changed, except that a lost job may be found again."""
        with self._open() as db:
            db.execute(
                f"UPDATE jobs SET state = ?, reason = ?, exit_status = ?, outcome = ? "  # noqa: S608
                f"WHERE token = ? AND (state NOT IN ({ENDED}) OR state = 'lost')",
                (*_columns(status), outcome, token),
            )

    def came_of(self, token: str, outcome: str) -> None:
        """Records the outcome of an ended job that has none yet."""
        with self._open() as db:
            db.execute("UPDATE jobs SET outcome = ? WHERE token = ? AND outcome IS NULL", (outcome, token))

    def outcomes(self) -> dict[str, str]:
        """Returns the recorded outcomes of ended jobs, by token."""
        if not self.path.exists():
            return {}
        with self._open() as db:
            rows = db.execute("SELECT token, outcome FROM jobs WHERE outcome IS NOT NULL").fetchall()
        return {str(token): str(outcome) for token, outcome in rows}

    def cancel_asked(self, token: str, *, asked: bool) -> None:
        """Records whether the user has cancelled this job, which its exit status alone could not tell."""
        with self._open() as db:
            db.execute("UPDATE jobs SET cancel_asked = ? WHERE token = ?", (asked, token))

    def live(self) -> list[JobRecord]:
        """Returns the jobs that have not ended, oldest first."""
        return self._select(f"WHERE state NOT IN ({ENDED}) ORDER BY submitted, rowid")

    def all(self) -> list[JobRecord]:
        """Returns all jobs, oldest first."""
        return self._select("ORDER BY submitted, rowid")

    def tokens(self) -> set[str]:
        """Returns the tokens of all jobs, including those whose rows are damaged."""
        if not self.path.exists():
            return set()
        with self._open() as db:
            return {str(token) for (token,) in db.execute("SELECT token FROM jobs")}

    def names(self) -> frozenset[str]:
        """Returns the names of all jobs."""
        if not self.path.exists():
            return frozenset()
        with self._open() as db:
            return frozenset(str(name) for (name,) in db.execute("SELECT DISTINCT name FROM jobs"))

    def find(self, job: str) -> JobRecord:
        """Returns the job with that id (`12.pbs01`, or `12` if that is unambiguous), name or token.

        `…[4]` is job 4 of an array. A name stands for the newest job of that name.
        Raises LedgerError if there is no such job, or several.
        """
        if any("\ud800" <= c <= "\udfff" for c in job):  # not in any job's name, and SQLite cannot encode it
            raise _unknown(job)
        if one := ONE_OF_ARRAY.fullmatch(job):
            array = f"{one['array']}[]{one['rest']}" if one["rest"] else one["array"]
            return _of_array(self.find(array), int(one["index"]), job)
        escaped = re.sub(r"([%_\\])", r"\\\1", job)
        by_id = self._select(
            "WHERE id = ? OR id LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\' ORDER BY submitted",
            (job, f"{escaped}.%", f"{escaped}[]%"),
        )
        if len(by_id) > 1:
            choices = ", ".join(f"{r.id} ({r.cluster}, token {r.token})" for r in by_id)
            raise LedgerError(f"{job}: there are several such jobs: {choices}. Give the token of one")
        matches = by_id or self._select("WHERE token = ? OR name = ? ORDER BY submitted DESC, rowid DESC", (job, job))
        if not matches:
            raise self._damaged(job) or _unknown(job, self.names())
        return matches[0]

    def _damaged(self, job: str) -> LedgerError | None:
        """Returns the error for a job whose row is malformed, if it is."""
        fault = self.faults.get(job)
        return LedgerError(f"{self.path}: the entry of job {job} is damaged: {fault}") if fault else None

    def _select(self, clause: str, values: tuple[object, ...] = ()) -> list[JobRecord]:
        if not self.path.exists():
            return []
        records = []
        with self._open() as db:
            for row in db.execute(f"SELECT {COLUMNS} FROM jobs {clause}", values):  # noqa: S608
                try:
                    records.append(_record(row))
                except Malformed as error:
                    self.faults[str(row[0])] = str(error)
        return records

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._transaction is not None:
            yield self._transaction
            return
        try:
            db = sqlite3.connect(paths.private_file(self.path), timeout=30, isolation_level="IMMEDIATE")
            db.text_factory = os.fsdecode
            try:
                _prepare(db, self.path)
                with db:
                    yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # SQLite quotes damaged names raw
            reason = error.strerror if isinstance(error, OSError) else error
            remedy = full_disk.remedy(str(reason), full_disk.LOCAL) or _remedy(error)
            raise LedgerError(f"{self.path}: the ledger of jobs cannot be used: {reason}{remedy}") from None


def _remedy(error: Exception) -> str:
    if isinstance(error, OSError):
        return ". Set XDG_DATA_HOME to keep it in another folder"
    if isinstance(error, UnicodeDecodeError) or getattr(error, "sqlite_errorcode", None) in _DAMAGED:
        return ". It is damaged: move it away, and hpcbrew adopt will restore the jobs from their run folders"
    return ""


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLITE_ERROR stands for a missing table or column."""


def _of_array(array: JobRecord, index: int, name: str) -> JobRecord:
    """Returns one job of an array. It has no row of its own, so its state is not kept."""
    if array.id is None or not array.is_array:
        raise LedgerError(f"{name}: {array.name} ({array.id}) is a single job, not an array")
    return replace(
        array,
        token=f"{array.token}[{index}]",
        id=array.id.replace("[]", f"[{index}]"),
        name=f"{array.name}[{index}]",
        run_folder=array.run_folder / layout.point(index),
        status=JobStatus(JobState.QUEUED),
    )


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == 0:  # another process may have been first
            for statement in filter(str.strip, SCHEMA.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.commit()
    elif version == 1:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == 1:
            db.execute("ALTER TABLE jobs ADD COLUMN outcome TEXT")
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.commit()
    elif version > VERSION:
        raise LedgerError(f"{path}: was written by a newer hpcbrew (format version {version}): update this one")


def _unknown(job: str, names: frozenset[str] = frozenset()) -> LedgerError:
    return LedgerError(
        f"no job {job!r} was submitted from here.{did_you_mean(job, sorted(names), repr)} hpcbrew status --all lists "
        "those that were, and hpcbrew adopt takes over those of another machine"
    )


def _columns(status: JobStatus) -> tuple[object, ...]:
    """Returns a state as it is stored. An impossible exit status is stored as none."""
    exit_status = status.exit_status
    sound = exit_status is None or abs(exit_status) < 2**31
    return str(status.state), schema.words(status.reason), exit_status if sound else None


def _stored(path: str) -> str | bytes:
    """Returns a path as it is stored: one that is not ASCII as its raw bytes, since it may not be UTF-8."""
    return path if path.isascii() else os.fsencode(path)


def _record(row: tuple[Any, ...]) -> JobRecord:
    """Reads a job from its row. Raises Malformed."""
    names = COLUMNS.split(", ")
    raw = {
        name: os.fsdecode(value) if isinstance(value, bytes) else value for name, value in zip(names, row, strict=True)
    }
    values: dict[str, Any] = {name: schema.field(raw, name, check) for name, check in ROW.items()}
    return JobRecord(
        token=values["token"],
        name=values["name"],
        address=_address(values["address"]),
        solver=values["solver"],
        submitted=values["submitted"],
        status=JobStatus(JobState(values["state"]), values["reason"], values["exit_status"]),
        id=values["id"],
        run_folder=PurePosixPath(values["run_folder"]),
        cancel_asked=bool(values["cancel_asked"]),
    )


def _address(text: str) -> Address:
    """Reads an address; the host must be safe as an argument of `ssh`. Raises Malformed."""
    values = schema.read_object(text.encode(errors="surrogateescape"))
    transport = schema.field(values, "transport", schema.one_of("local", "ssh", "openssh"))
    host = schema.text(re.compile(r"[^\s-]\S*"), "a host, in one word", most=1024)
    return Address(
        cluster=schema.field(values, "cluster", schema.text(most=255)),
        transport=transport,
        scheduler=schema.field(values, "scheduler", schema.one_of("local", "pbs")),
        host=schema.field(values, "host", schema.none_or(host) if transport == "local" else host, None),
        torque=schema.field(values, "torque", schema.flag, False),
        slots=schema.field(values, "slots", schema.whole(1), 1),
    )
