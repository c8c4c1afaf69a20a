"""A runner: holds a slot, runs the queued jobs one after another, and ends when there are none."""

import contextlib
import os
import pwd
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from hpcbrew import paths
from hpcbrew.localqueue import store
from hpcbrew.localqueue.store import Job

KILL_DELAY = 10.0  # seconds from SIGTERM to SIGKILL: PBS's default
TICK = 0.2  # seconds between two checks whether the job was deleted

WALLTIME, DELETED = -29, 256 + signal.SIGTERM


def start(slots: int) -> None:
    """Starts a runner for queued jobs. A runner that finds no free slot ends at once."""
    log = paths.private_file(store.folder() / "runner.log").open("ab")
    with log:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "hpcbrew.localqueue", "--slots", str(slots), "run"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )


def run(slots: int) -> None:
    """Runs queued jobs on the first free slot. After releasing the slot it checks the queue again: a job may have
    arrived since the last check, whose own runner found the slot still taken."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while True:
        with store.transaction() as db:
            store.mark_lost(db)
            if _next(db) is None:
                return
            slot_and_lock = next(((n, lock) for n in range(slots) if (lock := store.take_slot(n)) is not None), None)
        if slot_and_lock is None:
            if _end_leftovers(slots):
                continue
            return
        slot, lock = slot_and_lock
        with lock:
            while (job := _claim(slot)) is not None:
                _execute(job, lock)


def _claim(slot: int) -> Job | None:
    with store.transaction() as db:
        job = _next(db)
        if job is not None:
            host = socket.gethostname()
            comment = f"Job run at {time.strftime('%a %b %d at %H:%M')} on ({host}:ncpus={job.options['ncpus']})"
            store.change(db, job.seq, state="R", substate=42, slot=slot, stime=time.time(), comment=comment)
            job = store.jobs(db, "seq = ?", (job.seq,))[0]
        return job


def _next(db: sqlite3.Connection) -> Job | None:
    """Returns the oldest job that may run now. Ends jobs whose dependency can no longer be met, as PBS does."""
    for job in store.jobs(db, f"{store.RUNNABLE} AND (state = 'Q' OR (state = 'H' AND NOT held))"):
        verdict = _dependency(db, job)
        if verdict is True:
            return job
        if verdict is None and job.state == "Q":
            store.change(db, job.seq, state="H", substate=22)
        if verdict is False:
            store.end(db, job.seq, substate=92, exit_status=None, comment="")
    return None


def _dependency(db: sqlite3.Connection, job: Job) -> bool | None:
    """Whether the job may run (True), must wait (None), or never can (False)."""
    outcome: bool | None = True
    for clause in filter(None, job.options.get("depend", "").split(",")):
        kind, *ids = clause.split(":")
        for job_id in ids:
            prerequisite = store.find(db, job_id)
            if prerequisite is None:
                return False
            success = prerequisite.exit_status == 0 and prerequisite.substate == 92
            if prerequisite.state != "F":
                outcome = None
            elif (kind == "afterok" and not success) or (kind == "afternotok" and success):
                return False
    return outcome


def _execute(job: Job, lock: IO[bytes]) -> None:
    """Runs one job to its end, and records that. Anything that goes wrong counts as the job's failure."""
    temporary = tempfile.mkdtemp(prefix=f"pbs.{job.id}.")
    try:
        with _output(job) as output:
            process = subprocess.Popen(
                ["/bin/bash", "-l", str(store.script(job.seq if job.array_of is None else job.array_of))],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=Path.home(),
                env=_environment(job, temporary),
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
            with store.transaction() as db:
                store.change(db, job.seq, process_group=process.pid)
            status = _wait(job, process, output)
            end_holders(lock)
    except OSError as error:
        with store.transaction() as db:
            reason = f"could not be started: {error.strerror} ({error.filename})"
            store.end(db, job.seq, substate=93, exit_status=-1, comment=reason)
        return
    finally:
        subprocess.run(["rm", "-rf", "--", temporary], check=False)
    with store.transaction() as db:
        job = store.jobs(db, "seq = ?", (job.seq,))[0]
        substate, ending = 92, "finished"
        if job.deleted_by:
            substate, ending = 91, f"terminated by {job.deleted_by}"
        elif status == WALLTIME:
            substate, ending = 93, "exceeded resource walltime"
        elif status != 0:
            substate, ending = 93, "failed"
        store.end(db, job.seq, substate=substate, exit_status=status, comment=f"{job.comment} and {ending}")


def _wait(job: Job, process: subprocess.Popen[bytes], output: IO[bytes]) -> int:
    """Waits for the job, and returns its Exit_status as in PBS: 256 + N for signal N, and PBS's own number if it ran
    out of walltime."""
    start_time, limit = time.monotonic(), job.options.get("walltime")
    sigterm_time: float | None = None
    late = killed = False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TICK)
            break
        now = time.monotonic()
        if sigterm_time is None and limit is not None and now - start_time > limit:
            late, sigterm_time = True, now
            output.write(f"=>> PBS: job killed: walltime {int(now - start_time)} exceeded limit {limit}\n".encode())
            output.flush()
            signal_session(process.pid, signal.SIGTERM)
        elif sigterm_time is None and _deleted(job):
            sigterm_time = now
            signal_session(process.pid, signal.SIGTERM)
        elif sigterm_time is not None and not killed and now - sigterm_time > KILL_DELAY:
            killed = True
            signal_session(process.pid, signal.SIGKILL)
    signal_session(process.pid, signal.SIGKILL)  # what the script left behind in its session
    if late:
        return WALLTIME
    return process.returncode if process.returncode >= 0 else 256 - process.returncode


def signal_session(session: int, number: signal.Signals) -> None:
    """Signals all processes of a job, as PBS does, including those that have left its process group."""
    for process in _processes():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process) == session:
                os.kill(process, number)


def end_holders(lock: IO[bytes]) -> None:
    """Kills what a job has left behind outside its session: it has the slot's lock open, so nobody could take the slot.
    Without /proc (macOS), such processes cannot be found."""
    for process in _holders(lock.name):
        if process != os.getpid():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


def _end_leftovers(slots: int) -> bool:
    """The same for jobs whose runner was killed. Returns whether there were any, since a slot may be free now."""
    with store.transaction() as db:
        sessions = {job.process_group for job in store.jobs(db, "state IN ('R', 'E')")}
    any_found = False
    for slot in range(slots):
        holders = _holders(str(store.slot_lock(slot)))
        if holders and not any(_at_work(process, sessions) for process in holders):
            any_found = True
            for process in holders:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
    return any_found


def _at_work(process: int, sessions: set[int | None]) -> bool:
    """Whether a process is a runner, or belongs to a running job."""
    with contextlib.suppress(OSError):
        return os.getsid(process) in sessions or b"hpcbrew.localqueue" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def _holders(lock: str) -> list[int]:
    """Returns the processes that hold a lock. One that only has the file open, as qstat does to try it, does not."""
    name, holders = str(Path(lock).resolve()), []
    for process in _processes():
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                if (
                    str(descriptor.readlink()) == name
                    and "lock:" in Path(f"/proc/{process}/fdinfo/{descriptor.name}").read_text()
                ):
                    holders.append(process)
                    break
    return holders


def _processes() -> list[int]:
    """Returns all processes of this machine, from /proc, or without one (macOS) from ps."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - names are all that is needed
    except FileNotFoundError:
        names = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True).stdout.split()
    return [int(name) for name in names if name.isdecimal()]


def _deleted(job: Job) -> bool:
    with store.transaction() as db:
        return bool(store.jobs(db, "seq = ? AND deleted_by IS NOT NULL", (job.seq,)))


def _output(job: Job) -> IO[bytes]:
    default = f"{job.name}.o{job.seq}"
    name = str(job.options.get("output", default)).replace("^array_index^", str(job.options.get("array_index")))
    return (Path(job.workdir) / name).open("wb")


def _environment(job: Job, temporary: str) -> dict[str, str]:
    """Returns the environment that PBS gives a job: little of the submitter's own, and the PBS variables."""
    user = pwd.getpwuid(os.getuid())
    host = socket.gethostname()
    nodefile = Path(temporary) / "nodefile"
    nodefile.write_text(f"{host}\n" * job.options["nodes"])
    cores = str(job.options["ncpus"])
    return {
        "HOME": str(Path.home()),
        "LOGNAME": user.pw_name,
        "USER": user.pw_name,
        "SHELL": "/bin/bash",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        **job.environment,
        "NCPUS": cores,
        "OMP_NUM_THREADS": cores,
        "TMPDIR": temporary,
        **({"PBS_ARRAY_INDEX": str(job.options["array_index"])} if job.array_of is not None else {}),
        "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_JOBDIR": str(Path.home()),
        "PBS_JOBID": job.id,
        "PBS_JOBNAME": job.name,
        "PBS_NODEFILE": str(nodefile),
        "PBS_NODENUM": "0",
        "PBS_O_HOME": str(Path.home()),
        "PBS_O_HOST": host,
        "PBS_O_LOGNAME": user.pw_name,
        "PBS_O_PATH": os.environ.get("PATH", ""),
        "PBS_O_QUEUE": job.options["queue"],
        "PBS_O_SHELL": "/bin/bash",
        "PBS_O_SYSTEM": "Linux",
        "PBS_O_WORKDIR": job.workdir,
        "PBS_QUEUE": job.options["queue"],
        "PBS_TASKNUM": "1",
    }
