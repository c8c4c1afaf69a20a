"""`python -m hpcbrew.localqueue [--slots N] qsub [FLAGS] SCRIPT | qstat [-x] [-f] [ID …] | qdel|qhold|qrls ID | run`.

Exit statuses and words are PBS's: 153 for an unknown job, 35 for one that has finished.
"""

import os
import pwd
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from hpcbrew.localqueue import answers, directives, runner, store
from hpcbrew.localqueue.store import Job

UNKNOWN, FINISHED = 153, 35

# What a job may need of the submitter's environment to run at all; PBS sites set these up in module files.
# Its data folder is where a job finds this queue.
KEPT = ("CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ", "XDG_DATA_HOME")


def main(arguments: list[str]) -> int:
    slots = 1
    if arguments[:1] == ["--slots"]:
        slots, arguments = int(arguments[1]), arguments[2:]
    command, *rest = arguments or [""]
    operands = [word for word in rest if not word.startswith("-") and word != "json"]
    try:
        if command == "run":
            runner.run(slots)
            return 0
        if command == "qsub":
            return qsub(Path(rest[-1]), rest[:-1], slots)
        if command == "qstat":
            return qstat(operands, slots)
        if command in CHANGES:
            return change(command, operands, slots)
    except (sqlite3.Error, OSError) as error:
        said = f"{error.strerror} ({error.filename})" if isinstance(error, OSError) else str(error)
        print(f"{command}: {store.folder()}: the queue cannot be used: {said}", file=sys.stderr)
        return 255
    print(__doc__, file=sys.stderr)
    return 2


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
        seq = store.add(db, options.get("name", path.name), str(Path.cwd()), options, environment)
        store.script(seq).write_bytes(text)
    print(f"{seq}{store.SUFFIX}", flush=True)
    runner.start(slots)
    return 0


def qstat(ids: list[str], slots: int) -> int:
    """Also starts a runner where a job waits and none is there to run it: after a restart of the machine, say."""
    status = 0
    with store.transaction() as db:
        store.mark_lost(db)
        if not ids:
            found = store.jobs(db)
        else:
            found = []
            for job_id in ids:
                jobs = _lookup(db, job_id)
                found += jobs
                if not jobs:
                    print(f"qstat: Unknown Job Id {job_id}", file=sys.stderr)
                    status = UNKNOWN
        waiting = store.jobs(db, "state = 'Q'")
        free = [lock for n in range(slots) if (lock := store.take_slot(n)) is not None]
        for lock in free:
            lock.close()
    if waiting and free:
        runner.start(slots)
    print(answers.show(found))
    return status


def change(command: str, ids: list[str], slots: int) -> int:
    status = 0
    for job_id in ids:
        with store.transaction() as db:
            store.mark_lost(db)
            jobs = _lookup(db, job_id)
            if not jobs or jobs[0].state == "F":
                status, words = (FINISHED, "Job has finished") if jobs else (UNKNOWN, "Unknown Job Id")
                print(f"{command}: {words} {job_id}", file=sys.stderr)
                continue
            CHANGES[command](db, jobs[0])
    runner.start(slots)
    return status


def _delete(db: sqlite3.Connection, job: Job) -> None:
    who = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
    if job.state in ("Q", "H"):
        store.end(db, job.seq, substate=91, exit_status=None, comment=f"{job.comment} and terminated by {who}".lstrip())
        return
    store.change(db, job.seq, deleted_by=who)
    if job.process_group:  # the runner does the same, and follows it up; but it may be gone
        runner.signal_group(job.process_group, signal.SIGTERM)


def _hold(db: sqlite3.Connection, job: Job) -> None:
    waiting = {"state": "H", "substate": 20} if job.state == "Q" else {}
    store.change(db, job.seq, held=1, **waiting)


def _release(db: sqlite3.Connection, job: Job) -> None:
    queued = {"state": "Q", "substate": 10} if job.state == "H" else {}
    store.change(db, job.seq, held=0, **queued)


CHANGES: dict[str, Callable[[sqlite3.Connection, Job], None]] = {"qdel": _delete, "qhold": _hold, "qrls": _release}


def _lookup(db: sqlite3.Connection, job_id: str) -> list[Job]:
    number = job_id.removesuffix(store.SUFFIX)
    return store.jobs(db, "seq = ?", (int(number),)) if number.isdigit() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
