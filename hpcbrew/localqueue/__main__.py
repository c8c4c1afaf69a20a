"""`python -m hpcbrew.localqueue [--slots N] qsub [FLAGS] SCRIPT | qstat [-x] [-f] [ID …] | qdel|qhold|qrls ID | run`.

Exit statuses and messages are PBS's: 153 for an unknown job, 35 for one that has finished.
"""

import os
import pwd
import signal
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from hpcbrew import paths
from hpcbrew.localqueue import directives, qstat_json, store
from hpcbrew.localqueue.store import Job

UNKNOWN, FINISHED = 153, 35

# What a job may need from the submitter's environment to run at all; PBS sites set these up in module files.
# XDG_DATA_HOME is where a job finds this queue.
KEPT = ("CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ", "XDG_DATA_HOME")


LEFT_BEHIND = "a process left behind by an ended job occupies the slot for jobs on this machine: end it"


def main(arguments: list[str]) -> int:
    slots = 1
    if arguments[:1] == ["--slots"]:
        slots, arguments = int(arguments[1]), arguments[2:]
    command, *rest = arguments or [""]
    operands = [word for word in rest if not word.startswith("-") and word != "json"]
    try:
        if command == "run":
            _runner().run(slots)
            return 0
        if command == "qsub":
            return qsub(Path(rest[-1]), rest[:-1], slots)
        if command == "qstat":
            return qstat(operands, slots)
        if command in CHANGES:
            return change(command, operands, slots)
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # SQLite quotes damaged names raw
        reason = f"{error.strerror} ({error.filename})" if isinstance(error, OSError) else str(error)
        print(f"{command}: {store.folder()}: the queue cannot be used: {reason}", file=sys.stderr)
        return 255
    print(__doc__, file=sys.stderr)
    return 2


def _runner() -> ModuleType:
    """Imports the runner only when needed: without it qstat, which is called often, starts in two thirds of the
    time."""
    from hpcbrew.localqueue import runner  # noqa: PLC0415

    return runner


def qsub(path: Path, flags: list[str], slots: int) -> int:
    try:
        text = path.read_bytes()
        options = directives.parse(text.decode(), flags)
    except FileNotFoundError:
        print("qsub: script file:: No such file or directory", file=sys.stderr)
        return 1
    except (directives.BadDirective, UnicodeDecodeError) as error:
        print(f"qsub: {error}", file=sys.stderr)
        return 166
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    with store.transaction() as db:
        store.forget(db)
        add = store.add_array if "array" in options else store.add
        seq = add(db, options.get("name", path.name), str(Path.cwd()), options, environment)
        paths.private_file(store.script(seq)).write_bytes(text)
        (job,) = store.jobs(db, "seq = ?", (seq,))
    print(job.id, flush=True)
    _runner().start(slots)
    return 0


def qstat(ids: list[str], slots: int) -> int:
    """Prints jobs. Also starts a runner if a job waits and there is none, for example after a restart of the
    machine."""
    status = 0
    with store.transaction() as db:
        store.mark_lost(db)
        if not ids:
            jobs = store.jobs(db, store.LISTED)
        else:
            jobs = []
            for job_id in ids:
                job = store.find(db, job_id)
                jobs += [job] if job else []
                if job is None:
                    print(f"qstat: Unknown Job Id {job_id}", file=sys.stderr)
                    status = UNKNOWN
        waiting_jobs = store.jobs(db, f"{store.RUNNABLE} AND state = 'Q'")
        members = {job.seq: store.members(db, job.seq) for job in jobs if job.is_array}
        free_slots = [lock for n in range(slots) if (lock := store.take_slot(n)) is not None]
        for lock in free_slots:
            lock.close()
        if waiting_jobs and not free_slots and store.none_at_work(db, min(job.ctime for job in waiting_jobs)):
            comment = f"{LEFT_BEHIND} (lsof {store.slot_lock(0)} names it)"
            jobs = [replace(job, comment=comment) if job in waiting_jobs else job for job in jobs]
    if waiting_jobs and free_slots:
        _runner().start(slots)
    print(qstat_json.show(jobs, members))
    return status


def change(command: str, ids: list[str], slots: int) -> int:
    status = 0
    for job_id in ids:
        with store.transaction() as db:
            store.mark_lost(db)
            job = store.find(db, job_id)
            if job is None or job.state == "F":
                status, words = (FINISHED, "Job has finished") if job else (UNKNOWN, "Unknown Job Id")
                print(f"{command}: {words} {job_id}", file=sys.stderr)
                continue
            if job.is_array and command == "qdel":
                store.change(db, job.seq, deleted_by=_who())
            for one in store.members(db, job.seq) if job.is_array else [job]:
                if one.state != "F":
                    CHANGES[command](db, one)
    _runner().start(slots)
    return status


def _who() -> str:
    return f"{pwd.getpwuid(os.getuid()).pw_name}@{os.uname().nodename}"


def _delete(db: sqlite3.Connection, job: Job) -> None:
    user = _who()
    if job.state in ("Q", "H"):
        store.end(
            db, job.seq, substate=91, exit_status=None, comment=f"{job.comment} and terminated by {user}".lstrip()
        )
        return
    store.change(db, job.seq, deleted_by=user)
    if job.process_group:  # the runner does the same, and kills it later; but it may be gone
        _runner().signal_session(job.process_group, signal.SIGTERM)


def _hold(db: sqlite3.Connection, job: Job) -> None:
    changes = {"state": "H", "substate": 20} if job.state == "Q" else {}
    store.change(db, job.seq, held=1, **changes)


def _release(db: sqlite3.Connection, job: Job) -> None:
    changes = {"state": "Q", "substate": 10} if job.state == "H" else {}
    store.change(db, job.seq, held=0, **changes)


CHANGES: dict[str, Callable[[sqlite3.Connection, Job], None]] = {"qdel": _delete, "qhold": _hold, "qrls": _release}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
