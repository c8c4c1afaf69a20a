"""What `qstat -f` says of jobs, in its text and JSON forms, and what a job's attributes mean."""

import re
import signal
from dataclasses import dataclass

from engine.job_contract import ExitCode
from hpcbrew.job import JobState, JobStatus
from hpcbrew.schedulers import pbs_output
from hpcbrew.schedulers.pbs_comments import IN_ROUTE, in_words, shortened

# job_state letters of PBS Pro, OpenPBS and Torque. F, C and X are final, and judged by their exit status.
LETTERS = {
    "B": JobState.RUNNING,  # an array that has begun
    "E": JobState.ENDING,
    "H": JobState.HELD,
    "M": JobState.QUEUED,  # moved to another server
    "Q": JobState.QUEUED,
    "R": JobState.RUNNING,
    "S": JobState.HELD,  # suspended by the server
    "T": JobState.QUEUED,  # in transit
    "U": JobState.HELD,  # suspended: its workstation is in use
    "W": JobState.WAITING,
}
SUSPENDED = {"S": "suspended by the server or an operator", "U": "suspended: the node is in use by its owner"}

WAITS = {"after": "to start", "afterok": "to end well", "afternotok": "to fail", "afterany": "to end"}

HOLDS = {"u": "held by its owner: hpcbrew release lets it go", "o": "held by an operator", "s": "held by the system"}
NOT_OURS = {"o": "only an operator of the site can let it go", "s": "only the site can let it go"}

DELETED = 91  # substate of a job that ended by qdel
FINISHED = 92  # of one that ended well, or was dropped before it began
FAILED_OR_KILLED = 93

# One job of an array; the array itself is `13[].pbs01`.
_ELEMENT = re.compile(r"\d+\[\d+\]")
_ARRAY = re.compile(r"\d+\[\d*\]")

BEGAN = "Job run at "
"""How the comment of a job begins that PBS has started; it may go on with how that ended."""

LEFT_IN_TIME = "left in time, with a snapshot: hpcbrew resume goes on from it"
POINT_FAILED = "at least one job of the array failed"
DIVERGED = "the loss is no number any more: lower base_lr, or set clip_gradients"
_AGAIN = "hpcbrew resume goes on from its last snapshot, where it left one"

# Exit_status below 0 is PBS's own word (JOB_EXEC_* in its job.h).
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
    -24: (JobState.FAILED, "used more cores at once than it asked for: ask for more with --cpus"),
    -25: (JobState.FAILED, "used more cores than it asked for: ask for more with --cpus"),
    -26: (JobState.OUT_OF_MEMORY, "used more virtual memory than it asked for"),
    -27: (JobState.OUT_OF_MEMORY, "used more memory than it asked for"),
    -28: (JobState.FAILED, "used more CPU time than it asked for"),
    -29: (JobState.OUT_OF_WALLTIME, "ran longer than its walltime"),
    -30: (
        JobState.FAILED,
        "PBS could not start it on all of its nodes: submit it again, and tell the site if it stays so",
    ),
}

# Torque's own words for it, which are others from -8 on (its `src/include/pbs_job.h`).
TORQUE_ENDS = {
    **{status: end for status, end in PBS_ENDS.items() if status >= -7},
    -8: (JobState.FAILED, "PBS could not run its script"),
    -9: (JobState.FAILED, "PBS could not write scheduler.log: the disk may be full, or a quota used up"),
    -10: PBS_ENDS[-27],
    -11: PBS_ENDS[-29],
    -12: PBS_ENDS[-28],
    -13: PBS_ENDS[-3],
    -14: PBS_ENDS[-3],
}
TORQUE_NEVER = re.compile(r"deleted because its dependency of (?P<what>.+) can never be satisfied")

KILLED = re.compile(r"^=>> PBS: job killed: (?P<what>\w+)\b.* exceeded limit ", re.MULTILINE)
# Of a hook of PBS's own, `src/hooks/cgroups/pbs_cgroups.PY`: the kernel kills, and nobody else says why. It says so too
# where memory was short and nothing was killed.
CGROUP = re.compile(r"^Cgroup (?P<what>mem|memsw) limit exceeded: ", re.MULTILINE)
KILLED_FOR = {"memsw": -26, "vmem": -26, "mem": -27, "cput": -28, "walltime": -29, "ncpus": -25}


@dataclass(frozen=True)
class JobView:
    """The attributes of one job that matter here, as the server shows them at one moment. `whole`: the answer did not
    break off among them."""

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
        """Whether it was ever started. An array has no hosts of its own."""
        return bool(self.get("run_count") or self.get("exec_host"))

    @property
    def in_route(self) -> bool:
        """Whether a queued job lies in a routing queue: it gets its `etime`, of being eligible, in one that runs jobs.
        PBS shows a queue's kind to operators only."""
        return self.get("job_state") == "Q" and "qtime" in self.attributes and "etime" not in self.attributes

    @property
    def made_up(self) -> bool:
        """Whether the server shows a job of an array of which it keeps nothing itself: one that has not begun, or was
        deleted. All else that it shows of it, comment and exit status too, is the array's."""
        return _ELEMENT.match(self.id) is not None and not self.begun and not self.get("array_id")

    @property
    def damaged(self) -> bool:
        """Whether the end of an ended job is not to be told from this: its exit status is no number, or the answer
        broke off before that or, of an array, before what comes after it."""
        lacks = not self.whole and (not self.get("Exit_status") or _ARRAY.match(self.id))
        return bool(lacks or (self.get("Exit_status") and self.number("Exit_status") is None))

    @property
    def status(self) -> JobStatus:
        """The job's state and the reason for it. A letter that no PBS is known to have tells of this job alone."""
        letter = self.get("job_state")
        if letter in ("F", "C", "X"):
            return _ended(self)
        state = LETTERS.get(letter)
        if state is None:
            return JobStatus(
                JobState.UNKNOWN, f"qstat shows state {shortened(letter)!r}, which no PBS is known to have"
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
    """Each job in the answer, by id; what comes before is login noise. Raises SchedulerError for broken JSON."""
    entries = pbs_output.parse(out, pbs_output.JOBS)
    cut = pbs_output.unfinished(out, entries)
    jobs = {job_id: JobView(job_id, values, job_id != cut) for job_id, values in entries.items()}
    for job in jobs.values():
        if "exit_status" in job.attributes:  # Torque's spelling
            job.attributes.setdefault("Exit_status", job.attributes["exit_status"])
    return jobs


def _why(job: JobView, state: JobState, letter: str) -> str:
    """Why a job does not run. A waiting job of an array bears the comment of the array, which says nothing of it."""
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
    """Who holds it, and who can let it go: what its owner releases may be held by others too."""
    kinds = [kind for kind in HOLDS if kind in job.get("Hold_Types")]
    foreign = [NOT_OURS[kind] for kind in kinds if kind in NOT_OURS]
    if "u" not in kinds and comment.startswith(f"held by {job.get('Job_Owner').partition('@')[0]} "):
        comment = ""  # it is of a hold of the owner's, which is over
    said = comment or (HOLDS[kinds[-1]] if kinds else "")
    return f"{said}: {foreign[0]}" if foreign and ":" not in said.partition(" since ")[0] else said


def _points(job: JobView) -> str:
    """How many jobs of an array are where: `Queued:0 Running:3 Exiting:0 Expired:1` in words."""
    counts = {key: int(number) for key, number in re.findall(r"\b(\w+):([0-9]{1,9})\b", job.get("array_state_count"))}
    words = {"Running": "running", "Queued": "queued", "Exiting": "ending", "Expired": "ended"}
    return ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts.get(key))


def _ended(job: JobView) -> JobStatus:  # noqa: PLR0911 - one line an end, in the order of their weight
    status, comment = job.number("Exit_status"), job.get("comment")
    if job.damaged:
        return _damaged(job)
    if never := TORQUE_NEVER.search(comment):
        return JobStatus(JobState.NEVER_RAN, f"what it waited for never came: {shortened(never['what'])}")
    if job.made_up:
        return JobStatus(JobState.CANCELLED, "deleted")
    if "exceeded resource walltime" in comment:
        return JobStatus(JobState.OUT_OF_WALLTIME, "ran longer than its walltime", status)
    if re.search(r"exceeded resource (mem|vmem|pmem|pvmem)\b", comment):
        return JobStatus(JobState.OUT_OF_MEMORY, "used more memory than it asked for", status)
    if job.number("substate") == DELETED:
        by = re.search(r"terminated by (\S+)", comment)
        return JobStatus(JobState.CANCELLED, f"deleted by {shortened(by[1])}" if by else "deleted", status)
    if status is None:
        return _without_status(job)
    if "exit_status" in job.attributes and status == 256 + signal.SIGTERM and not job.begun:
        return JobStatus(JobState.CANCELLED, "deleted", status)  # Torque says this of a job that waits, too
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
    """A job that has ended, and nobody can tell how."""
    shown = job.get("Exit_status")
    fault = f"shows Exit_status {shortened(shown)!r}, which is no number" if shown else "does not say how"
    fault = fault if job.whole else "breaks off before it says how"
    return JobStatus(JobState.UNKNOWN, f"it has ended, and qstat's answer {fault}")


def _without_status(job: JobView) -> JobStatus:
    if (awaited := _awaited(job.get("depend"))) and not job.get("run_count"):
        return JobStatus(JobState.NEVER_RAN, f"what it waited for never came: {awaited}")
    if not job.begun and not job.get("stime") and job.number("substate") == FINISHED:
        queue = f"queue {shortened(job.get('queue'))}" if job.get("queue") else "its queue"
        return JobStatus(
            JobState.NEVER_RAN,
            f"PBS dropped it from {queue} before it began, as where none of the queues that this one leads to takes "
            "such a job: ask for less, or choose another with --queue",
        )
    comment = job.get("comment")
    if job.begun and (not comment or comment.startswith(BEGAN)):  # PBS gives each such job an Exit_status
        return _damaged(job)
    return JobStatus(JobState.LOST, shortened(comment) or "the scheduler has no exit status for it")


def killed_by_pbs(log: str, exit_status: int | None) -> JobStatus | None:
    """Why PBS killed a job, by what its mom wrote into the job's output; None where it did not. The words are those of
    OpenPBS's `src/resmom/mom_main.c`."""
    by_kernel = exit_status in (128 + signal.SIGKILL, 256 + signal.SIGKILL)
    found = [m["what"] for words in ((CGROUP, KILLED) if by_kernel else (KILLED,)) for m in words.finditer(log)]
    end = KILLED_FOR.get(found[-1]) if found else None
    return JobStatus(*PBS_ENDS[end], exit_status) if end else None


def failed(status: int) -> JobStatus:
    """A job that ended by itself with an exit status other than 0: 128 + N or PBS's 256 + N stand for signal N."""
    if status == ExitCode.CONTINUES:
        return JobStatus(JobState.OUT_OF_WALLTIME, LEFT_IN_TIME, status)
    if status == ExitCode.DIVERGED:
        return JobStatus(JobState.DIVERGED, DIVERGED, status)
    if status == ExitCode.NEVER_BEGAN:
        return JobStatus(JobState.NEVER_RAN, "what it waited for ended and is not done")
    number = status - 256 if status > 256 else status - 128
    if number in {s.value for s in signal.Signals}:
        name = signal.Signals(number).name
        hint = "; memory running out is the usual cause" if name == "SIGKILL" else ""
        return JobStatus(JobState.FAILED, f"killed by {name}{hint}", status)
    words = {
        ExitCode.WRONG: "the engine refused it; hpcbrew logs has its words",
        ExitCode.NO_ROOM: "its run folder cannot be written to: the disk may be full, or a quota used up",
        126: "a command could not be run",
        127: "a command was not found",
    }
    known = words.get(status)
    return JobStatus(JobState.FAILED, f"exit status {status}" + (f": {known}" if known else ""), status)


def _awaited(depend: str) -> str:
    """`afterok:15.pbs01@pbs01` in words: `15.pbs01 to end well`. PBS lists the jobs that wait for this one, too, as
    `beforeok:16.pbs01@pbs01`: of these nothing is said."""
    clauses = []
    for clause in filter(None, re.sub(r"@[\w.-]+", "", depend).split(",")):
        kind, *ids = clause.split(":")
        if kind.startswith("before"):
            continue
        waits = WAITS.get(kind.removesuffix("array"))  # as Torque has it, of an array
        clauses.append(f"{' and '.join(ids)} {waits}" if waits else clause)
    return shortened(", and for ".join(clauses))
