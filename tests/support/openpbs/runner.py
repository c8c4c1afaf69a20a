"""Does what PBS's MOM does for one job: starts it, kills it, delivers its output. Each running job has such a process.

SIGTERM to this process stands for qdel.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from support.openpbs import environment, schedule
from support.openpbs.config import Config
from support.openpbs.resources import clock, seconds
from support.openpbs.store import Job, State, opened

WATCHED = {signal.SIGCHLD, signal.SIGTERM}
WALLTIME, DELETED, WELL, FAILED = -29, 91, 92, 93
SETTLED = 0.5  # seconds after which the server knows a job's session


class Runner:
    def __init__(self, folder: Path, config: Config, job_id: str) -> None:
        self.folder, self.config, self.id, self.late = folder, config, job_id, False
        with opened(folder, config) as state:
            self.job = state.jobs[job_id]
        self.aux, self.temporary = folder / "aux" / job_id, folder / "tmp" / f"pbs.{job_id}"
        self.tasks = folder / "aux" / f"{job_id}.tasks"
        self.script = folder / "mom_priv" / "jobs" / f"{job_id}.SC"

    def run(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        self.temporary.mkdir(parents=True)
        self.aux.parent.mkdir(exist_ok=True)
        lines = (self.config.node for chunk in self.job.own["chunks"] for _ in range(chunk.get("mpiprocs", 1)))
        self.aux.write_text("".join(f"{line}\n" for line in lines))
        shutil.copyfile(self.script.with_name(f"{self.job.own['seq']}.SC"), self.script)
        self.script.chmod(0o700)
        spooled = spool(self.folder, self.job)
        process = self._begin(*spooled)
        status = self._attend(process, spooled[-1])
        self._exiting(status)
        delivered = self._deliver()
        self._end(status, delivered)

    def _begin(self, out: Path, err: Path) -> subprocess.Popen[bytes]:
        """Starts a login shell that reads the script's name from stdin and runs the script as a command."""
        shell = str(self.job.attributes.get("Shell_Path_List") or pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh")
        words = self.job.own["executable"] or [f"-{Path(shell).name}"]
        variables = environment.of_job(self.job, self.temporary, self.aux)
        with out.open("ab") as stdout, err.open("ab") as stderr:
            process = subprocess.Popen(
                words,
                executable=None if self.job.own["executable"] else shell,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                cwd=self.job.own["home"],
                env=variables,
                start_new_session=True,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, ()),  # noqa: PLW1509 - no threads here
            )
        assert process.stdin is not None
        self.tasks.write_text(f"{process.pid}\n")
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(f"{self.script}\n".encode())
        return process

    def _attend(self, process: subprocess.Popen[bytes], err: Path) -> int:
        """The job's Exit_status. A job over its limit is told so, gets SIGTERM at the next poll, and is killed one poll
        later; a deleted job gets SIGTERM soon, and is killed after the kill delay. When its shell ends, all else is
        killed."""
        begun = time.monotonic()
        due: list[tuple[float, Callable[[], None]]] = [(SETTLED, self._settled)]
        if limit := seconds(self.job.attributes.get("Resource_List.walltime", "0")):
            over = limit + 1
            said = f"=>> PBS: job killed: walltime {over} exceeded limit {limit}\n"
            due.append((over, partial(self._exceed, err, said)))
            due.append((over + self.config.poll, partial(self._signal, signal.SIGTERM)))
            due.append((over + 2 * self.config.poll, partial(self._signal, signal.SIGKILL)))
        while process.poll() is None:
            now = time.monotonic() - begun
            due.sort(key=lambda entry: entry[0])
            if due and due[0][0] <= now:
                due.pop(0)[1]()
                continue
            got = signal.sigtimedwait(WATCHED, min(1.0, due[0][0] - now) if due else 1.0)
            if got is not None and got.si_signo == signal.SIGTERM:
                now += self.config.poll
                due.append((now, partial(self._signal, signal.SIGTERM)))
                due.append((now + self.config.kill_delay, partial(self._signal, signal.SIGKILL)))
        self._signal(signal.SIGKILL)
        if self.late:
            return WALLTIME
        return process.returncode if process.returncode >= 0 else 256 - process.returncode

    def _settled(self) -> None:
        sid = int(self.tasks.read_text().split()[0])
        with self._changing() as (_, job):
            job.set(substate=42, session_id=sid, jobdir=job.own["home"], **_used(job, 0))

    def _exceed(self, err: Path, said: str) -> None:
        self.late = True
        with err.open("a") as file:
            file.write(said)

    def _signal(self, number: int) -> None:
        """Sends a signal to every process of every session that belongs to the job, the shell first."""
        sessions = {int(word) for word in self.tasks.read_text().split()}
        for pid, session in sorted(_processes()):
            if session in sessions:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tuple[State, Job]]:
        with opened(self.folder, self.config) as state:
            job = state.jobs[self.id]
            yield state, job
            self.job = job

    def _exiting(self, status: int) -> None:
        with self._changing() as (state, job):
            job.set(job_state="E", substate=51, Exit_status=status, jobdir=job.own["home"])
            job.attributes |= _used(job, time.time() - job.attributes["stime"])
            if job.own.get("array"):
                schedule.count(state, state.jobs[job.own["array"]])

    def _deliver(self) -> bool:
        """Delivers the output. Returns whether all of it was delivered."""
        places = [self.job.attributes["Output_Path"], self.job.attributes["Error_Path"]]
        spooled = dict.fromkeys(spool(self.folder, self.job))
        joined = {"oe": places[:1], "eo": places[1:]}.get(self.job.attributes["Join_Path"], places)
        failed = [path for path, to in zip(spooled, joined, strict=True) if not self._move(path, to)]
        if failed:
            time.sleep(self.config.stageout)
        (self.folder / "undelivered").mkdir(exist_ok=True)
        for path in failed:
            path.rename(self.folder / "undelivered" / path.name)
        shutil.rmtree(self.temporary, ignore_errors=True)
        for path in (self.aux, self.tasks, self.script):
            path.unlink(missing_ok=True)
        return not failed

    def _move(self, path: Path, to: str) -> bool:
        target = to.partition(":")[2].replace("^array_index^", str(self.job.own.get("index", "")))
        final = Path(target) / path.name if target.endswith("/") or Path(target).is_dir() else Path(target)
        try:
            shutil.copyfile(path, final)
            final.chmod(0o600)
        except OSError:
            return False
        path.unlink()
        return True

    def _end(self, status: int, delivered: bool) -> None:
        with self._changing() as (state, job):
            substate, how = (WELL, "finished") if status == 0 else (FAILED, "failed")
            if status == WALLTIME:
                how = "exceeded resource walltime"
            if by := job.own.get("deleted_by"):
                substate, how = DELETED, f"terminated by {by}"
            # qdel may have added its comment already, and qrls removes the comment.
            said = str(job.attributes.get("comment", "")).removesuffix(f" and {how}")
            now = time.time()
            job.set(
                job_state="X" if job.own.get("array") else "F",
                substate=substate,
                **({"comment": f"{said} and {how}"} if said else {}),
                obittime=now,
                Stageout_status=int(delivered),
                history_timestamp=int(now),
            )
            schedule.advance(state)


def spool(folder: Path, job: Job) -> tuple[Path, Path]:
    """The files where stdout and stderr are kept until the end; a single one if they are joined."""
    (folder / "spool").mkdir(exist_ok=True)
    out, err = (folder / "spool" / f"{job.id}.{end}" for end in ("OU", "ER"))
    joined = {"oe": (out, out), "eo": (err, err)}
    return joined.get(job.attributes["Join_Path"], (out, err))


def _used(job: Job, walltime: float) -> dict[str, object]:
    cores = sum(chunk["ncpus"] for chunk in job.own["chunks"])
    used = {
        "cpupercent": 0,
        "cput": "00:00:00",
        "mem": "0kb",
        "ncpus": cores,
        "vmem": "0kb",
        "walltime": clock(walltime),
    }
    return {f"resources_used.{name}": value for name, value in used.items()}


def _processes() -> list[tuple[int, int]]:
    """Every process with its session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            found.append((int(path.parent.name), int(path.read_text().rpartition(")")[2].split()[3])))
    return found


def main(command: str, folder: Path, config: Config, arguments: list[str]) -> int:
    Runner(folder, config, arguments[0]).run()
    return 0
