"""Interprets what `qstat -f` says about jobs: what a job's attributes mean for its state."""

import re
import signal
from dataclasses import dataclass

from engine.job_contract import ExitCode
from hpcbrew.job import JobState, JobStatus
from hpcbrew.schedulers import pbs_output
from hpcbrew.schedulers.pbs_comments import IN_ROUTE, in_words, shortened

# job_state letters of PBS Pro, OpenPBS and Torque. F, C and X are final, and judged by the exit status.
LETTERS = {
    "B": JobState.RUNNING,  # an array that has started
    "E": JobState.ENDING,
    "H": JobState.HELD,
    "M": JobState.QUEUED,  # moved to another server
    "Q": JobState.QUEUED,
    "R": JobState.RUNNING,
    "S": JobState.HELD,  # suspended by the server
    "T": JobState.QUEUED,  # in transit
    "U": JobState.HELD,  # suspended, since its workstation is in use
    "W": JobState.WAITING,
}
SUSPENDED = {"S": "suspended by the server or an operator", "U": "suspended: the node is in use by its owner"}

WAITS = {"after": "to start", "afterok": "to succeed", "afternotok": "to fail", "afterany": "to end"}

HOLDS = {"u": "held by its owner: hpcbrew release releases it", "o": "held by an operator", "s": "held by the system"}
NOT_OURS = {"o": "only an operator of the site can release it", "s": "only the site can release it"}

DELETED = 91  # substate of a job that was ended by qdel
FINISHED = 92  # of a job that succeeded, or was dropped before it started
FAILED_OR_KILLED = 93

# One job of an array; the array itself is `13[].pbs01`.
_ELEMENT = re.compile(r"\d+\[\d+\]")
_ARRAY = re.compile(r"\d+\[\d*\]")

BEGAN = "Job run at "
"""The start of a job's comment once PBS has started it; it may continue with how the job ended."""

LEFT_IN_TIME = "stopped in time, with a snapshot: hpcbrew resume continues from it"
POINT_FAILED = "at least one job of the array failed"
DIVERGED = "the loss is no longer a number: lower base_lr, or set clip_gradients"
USED_MORE_MEMORY = "used more memory than it requested: request more with --mem"
_AGAIN = "hpcbrew resume continues from its last snapshot, if it left one"

# A negative Exit_status is PBS's own (JOB_EXEC_* in its job.h).
PBS_ENDS = {
    -1: (JobState.FAILED, "PBS could not start it: a file of the job was missing or in the way"),
    -2: (JobState.FAILED, "PBS could not start it on the node: see scheduler.log"),
    -3: (JobState.FAILED, "PBS could not start it and put it back in the queue"),
    -4: (JobState.FAILED, f"its node, or PBS on it, was restarted while it ran: {_AGAIN}"),
    -5: (JobState.FAILED, f"its node, or PBS on it, was restarted while it ran: {_AGAIN}"),
    -6: (JobState.FAILED, f"its node, or PBS on it, was restarted while it ran: {_AGAIN}"),
    -7: (JobState.FAILED, "PBS could not start it again from its checkpoint"),
    -10: (JobState.FAILED, "PBS could not start it: the node does not know your user or group there; tell the site"),
    -11: (JobState.FAILED, "rerun"),
    -12: (JobState.FAILED, "ended by PBS with a checkpoint"),
    -13: (JobState.FAILED, "PBS could not start it: it has no valid password of yours"),
    -14: (JobState.FAILED, f"a node of the job was lost: {_AGAIN}"),
    -15: (JobState.FAILED, "put back in the queue, to be started again from its checkpoint"),
    -16: (JobState.FAILED, "a rule of the site (a hook) put it back in the queue: scheduler.log may say why"),
    -17: (JobState.FAILED, "a rule of the site (a hook) refused to start it: scheduler.log may say why"),
    -18: (JobState.FAILED, "a rule of the site (a hook) put it back in the queue: scheduler.log may say why"),
    -19: (JobState.FAILED, "a rule of the site (a hook) ended it: scheduler.log may say why"),
    -20: (JobState.FAILED, f"PBS lost its first node: {_AGAIN}"),
    -21: (JobState.FAILED, "PBS could not start it: its folders on the node are not safe; tell the site"),
    -22: (JobState.FAILED, "PBS could not start it: a rule of the site (a hook) failed; tell the site"),
    -23: (JobState.FAILED, "PBS could not start it: it had no Kerberos ticket of yours"),
    -24: (JobState.FAILED, "used more cores at once than it requested: request more with --cpus"),
    -25: (JobState.FAILED, "used more cores than it requested: request more with --cpus"),
    -26: (JobState.OUT_OF_MEMORY, "used more virtual memory than it requested: request more with --mem"),
    -27: (JobState.OUT_OF_MEMORY, USED_MORE_MEMORY),
    -28: (JobState.FAILED, "used more CPU time than it requested"),
    -29: (JobState.OUT_OF_WALLTIME, "ran longer than its walltime"),
    -30: (
        JobState.FAILED,
        "PBS could not start it on all of its nodes: submit it again, and tell the site if it stays so",
    ),
}

# Torque's own statuses, which differ from -8 on (its `src/include/pbs_job.h`).
TORQUE_ENDS = {
    **{status: end for status, end in PBS_ENDS.items() if status >= -7},
    -8: (JobState.FAILED, "PBS could not run its script"),
    -9: (JobState.FAILED, "PBS could not write scheduler.log: the disk may be full or a quota exceeded"),
    -10: PBS_ENDS[-27],
    -11: PBS_ENDS[-29],
    -12: PBS_ENDS[-28],
    -13: PBS_ENDS[-3],
    -14: PBS_ENDS[-3],
}
TORQUE_NEVER = re.compile(r"deleted because its dependency of (?P<what>.+) can never be satisfied")

# The shell may have written a window title or a colour before it, without a line break.
BEGIN = r"^(?:.*(?:\x07|\x1b\\|\x1b\[[\d;]*m))?"
KILLED = re.compile(BEGIN + r"=>> PBS: job killed: (?P<what>\w+)\b.* exceeded limit ", re.MULTILINE)
# From PBS's cgroups hook, `src/hooks/cgroups/pbs_cgroups.PY`: the kernel kills the job, and nothing else says why. It
# also prints this when memory was short but nothing was killed.
CGROUP = re.compile(BEGIN + r"Cgroup (?P<what>mem|memsw) limit exceeded: ", re.MULTILINE)
KILLED_FOR = {"memsw": -26, "vmem": -26, "mem": -27, "cput": -28, "walltime": -29, "ncpus": -25}


@dataclass(frozen=True)
class JobView:
    """The attributes of one job as the server shows them at one moment. `whole`: the answer was not cut off among
    them."""

    id: str
    attributes: dict[str, str]
    whole: bool = True

    def get(self, name: str) -> str:
        return self.attributes.get(name, "")

    def number(self, name: str) -> int | None:
        value = self.get(name)
        return int(value) if re.fullmatch(r"[+-]?[0-9]{1,9}", value) else None

    @property
    def begun(self) -> bool:
        """Whether it was ever started; an array has no hosts of its own."""
        return bool(self.get("run_count") or self.get("exec_host"))

    @property
    def in_route(self) -> bool:
        """Whether a queued job is in a routing queue: it gets its `etime` (when it became eligible) only in a queue
        that runs jobs. PBS shows a queue's type only to operators."""
        return self.get("job_state") == "Q" and "qtime" in self.attributes and "etime" not in self.attributes

    @property
    def made_up(self) -> bool:
        """Whether this is a job of an array about which the server itself stores nothing, because it has not started or
        was deleted. Everything else shown for it, including comment and exit status, is the array's."""
        return _ELEMENT.match(self.id) is not None and not self.begun and not self.get("array_id")

    @property
    def damaged(self) -> bool:
        """Whether this does not tell how an ended job ended: its exit status is not a number, or the answer was cut off
        before it, or, for an array, before what comes after it."""
        lacks = not self.whole and (not self.get("Exit_status") or _ARRAY.match(self.id))
        return bool(lacks or (self.get("Exit_status") and self.number("Exit_status") is None))

    @property
    def status(self) -> JobStatus:
        """The job's state and the reason for it. An unknown state letter affects only this job."""
        letter = self.get("job_state")
        if letter in ("F", "C", "X"):
            return _ended(self)
        state = LETTERS.get(letter)
        if state is None:
            return JobStatus(
                JobState.UNKNOWN, f"qstat shows state {shortened(letter)!r}, which is not known of any PBS"
            )
        if letter == "H" and (awaited := _awaited(self.get("depend"))):
            holds = [f", and {HOLDS[kind]}" for kind in "uo" if kind in self.get("Hold_Types")]
            return JobStatus(JobState.WAITING, f"for {awaited}{''.join(holds)}")
        if letter == "W":
            return JobStatus(
                state, f"until {shortened(self.get('Execution_Time'))}" if self.get("Execution_Time") else ""
            )
        return JobStatus(state, _why(self, state, letter))


def parse(out: str) -> dict[str, JobView]:
    """Returns each job in the answer, by id; ignores login noise before it. Raises SchedulerError for broken JSON."""
    entries = pbs_output.parse(out, pbs_output.JOBS)
    unfinished_id = pbs_output.unfinished(out, entries)
    jobs = {job_id: JobView(job_id, values, job_id != unfinished_id) for job_id, values in entries.items()}
    for job in jobs.values():
        if "exit_status" in job.attributes:  # Torque's spelling
            job.attributes.setdefault("Exit_status", job.attributes["exit_status"])
    return jobs


def _why(job: JobView, state: JobState, letter: str) -> str:
    """Says why a job does not run. A waiting job of an array has the array's comment, which is not about that job."""
    if letter in SUSPENDED:
        return SUSPENDED[letter]
    of_array = job.made_up or bool(job.get("array_id"))
    comment = "" if of_array else in_words(job.get("comment"))
    if state is JobState.HELD or (state is JobState.QUEUED and of_array):
        return _hold(job, comment)
    if state is JobState.QUEUED:
        return comment or (IN_ROUTE if job.in_route else "")
    if job.get("array_state_count") and state is JobState.RUNNING:
        return _points(job)
    return ""


def _hold(job: JobView, comment: str) -> str:
    """Says who holds a job and who can release it: it may be held by others as well as by its owner."""
    kinds = [kind for kind in HOLDS if kind in job.get("Hold_Types")]
    foreign = [NOT_OURS[kind] for kind in kinds if kind in NOT_OURS]
    if "u" not in kinds and comment.startswith(f"held by {job.get('Job_Owner').partition('@')[0]} "):
        comment = ""  # left from a hold of the owner's, which is over
    reason = comment or (HOLDS[kinds[-1]] if kinds else "")
    return f"{reason}: {foreign[0]}" if foreign and ":" not in reason.partition(" since ")[0] else reason


def _points(job: JobView) -> str:
    """Says how many jobs of an array are in which state, from `Queued:0 Running:3 Exiting:0 Expired:1`."""
    counts = {key: int(number) for key, number in re.findall(r"\b(\w+):([0-9]{1,9})\b", job.get("array_state_count"))}
    words = {"Running": "running", "Queued": "queued", "Exiting": "ending", "Expired": "ended"}
    return ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts.get(key))


def _ended(job: JobView) -> JobStatus:  # noqa: PLR0911 - one return per kind of end, by precedence
    status, comment = job.number("Exit_status"), job.get("comment")
    if job.damaged:
        return _damaged(job)
    if never := TORQUE_NEVER.search(comment):
        return JobStatus(JobState.NEVER_RAN, f"what it waited for never happened: {shortened(never['what'])}")
    if job.made_up:
        return JobStatus(JobState.CANCELLED, "deleted")
    if "exceeded resource walltime" in comment:
        return JobStatus(JobState.OUT_OF_WALLTIME, "ran longer than its walltime", status)
    if re.search(r"exceeded resource (mem|vmem|pmem|pvmem)\b", comment):
        return JobStatus(JobState.OUT_OF_MEMORY, USED_MORE_MEMORY, status)
    if job.number("substate") == DELETED:
        deleter = re.search(r"terminated by (\S+)", comment)
        return JobStatus(JobState.CANCELLED, f"deleted by {shortened(deleter[1])}" if deleter else "deleted", status)
    if status is None:
        return _without_status(job)
    if "exit_status" in job.attributes and status == 256 + signal.SIGTERM and not job.begun:
        return JobStatus(JobState.CANCELLED, "deleted", status)  # Torque also gives this to waiting jobs
    if status >= 0 and job.get("array") == "True" and job.number("substate") == FAILED_OR_KILLED:
        return JobStatus(JobState.FAILED, POINT_FAILED, 1)  # builds differ: 0, or 1
    if status == 0:
        undelivered = job.get("Stageout_status") == "0"
        return JobStatus(JobState.DONE, "its scheduler.log could not be delivered" if undelivered else "", 0)
    if status < 0:
        ends = TORQUE_ENDS if "exit_status" in job.attributes else PBS_ENDS
        state, reason = ends.get(status, (JobState.FAILED, f"ended by PBS with status {status}"))
        return JobStatus(state, reason, status)
    return failed(status)


def _damaged(job: JobView) -> JobStatus:
    """Returns the state of a job that has ended in an unknown way."""
    exit_status = job.get("Exit_status")
    fault = (
        f"shows Exit_status {shortened(exit_status)!r}, which is not a number" if exit_status else "does not say how"
    )
    fault = fault if job.whole else "is cut off before it says how"
    return JobStatus(JobState.UNKNOWN, f"it has ended, and qstat's answer {fault}")


def _without_status(job: JobView) -> JobStatus:
    if (awaited := _awaited(job.get("depend"))) and not job.get("run_count"):
        return JobStatus(JobState.NEVER_RAN, f"what it waited for never happened: {awaited}")
    if not job.begun and not job.get("stime") and job.number("substate") == FINISHED:
        queue = f"queue {shortened(job.get('queue'))}" if job.get("queue") else "its queue"
        return JobStatus(
            JobState.NEVER_RAN,
            f"PBS dropped it from {queue} before it started, perhaps since none of the queues behind that one accepts "
            "such a job: request less, or choose another with --queue",
        )
    comment = job.get("comment")
    if job.begun and (not comment or comment.startswith(BEGAN)):  # PBS gives each such job an Exit_status
        return _damaged(job)
    return JobStatus(JobState.LOST, shortened(comment) or "the scheduler has no exit status for it")


def killed_by_pbs(log: str, exit_status: int | None) -> JobStatus | None:
    """Returns why PBS killed a job, from what its mom wrote into the job's output; None if it did not kill it. The
    messages are those of OpenPBS's `src/resmom/mom_main.c`."""
    by_kernel = exit_status in (128 + signal.SIGKILL, 256 + signal.SIGKILL)
    causes = [m["what"] for words in ((CGROUP, KILLED) if by_kernel else (KILLED,)) for m in words.finditer(log)]
    end = KILLED_FOR.get(causes[-1]) if causes else None
    return JobStatus(*PBS_ENDS[end], exit_status) if end else None


def failed(status: int) -> JobStatus:
    """Returns the state of a job that ended by itself with a nonzero exit status; 128 + N, or PBS's 256 + N, means
    signal N."""
    if status == ExitCode.CONTINUES:
        return JobStatus(JobState.OUT_OF_WALLTIME, LEFT_IN_TIME, status)
    if status == ExitCode.DIVERGED:
        return JobStatus(JobState.DIVERGED, DIVERGED, status)
    if status == ExitCode.NEVER_BEGAN:
        return JobStatus(JobState.NEVER_RAN, "what it waited for ended without being done")
    number = status - 256 if status > 256 else status - 128
    if number in {s.value for s in signal.Signals}:
        name = signal.Signals(number).name
        hint = "; running out of memory is the usual cause" if name == "SIGKILL" else ""
        return JobStatus(JobState.FAILED, f"killed by {name}{hint}", status)
    words = {
        ExitCode.WRONG: "the engine refused it; hpcbrew logs shows why",
        ExitCode.NO_ROOM: "its run folder cannot be written to: the disk may be full or a quota exceeded",
        126: "a command could not be run",
        127: "a command was not found",
    }
    meaning = words.get(status)
    return JobStatus(JobState.FAILED, f"exit status {status}" + (f": {meaning}" if meaning else ""), status)


def _awaited(depend: str) -> str:
    """Says what a job waits for: `15.pbs01 to succeed` for `afterok:15.pbs01@pbs01`. Ignores the jobs that wait for
    this one, which PBS lists as `beforeok:16.pbs01@pbs01`."""
    clauses = []
    for clause in filter(None, re.sub(r"@[\w.-]+", "", depend).split(",")):
        kind, *ids = clause.split(":")
        if kind.startswith("before"):
            continue
        waits = WAITS.get(kind.removesuffix("array"))  # Torque's suffix for arrays
        clauses.append(f"{' and '.join(ids)} {waits}" if waits else clause)
    return shortened(", and for ".join(clauses))
