"""PBS Pro, OpenPBS and Torque: each command, with the parser of its answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.schedulers import pbs_status
from hpcbrew.schedulers.pbs_comments import shortened
from hpcbrew.schedulers.pbs_status import JobView

JOB_ID = re.compile(r"[0-9]{1,18}(\[[0-9]{0,9}\])?(\.[A-Za-z0-9_.-]{1,200})?")
FULL_ID = re.compile(r"[0-9]{1,18}(\[[0-9]{0,9}\])?\.(?=[0-9_.-]*[A-Za-z])[A-Za-z0-9_.-]{1,200}")
"""An id with the server's name, as every qsub of PBS prints it: a bare number, or a version, might be anything."""
UNKNOWN = re.compile(r"Unknown Job Id (?:Error )?(?P<id>\S+)")  # Torque says `Error`

# PBS's error numbers modulo 256, which are the exit statuses of its commands.
NO_SERVER = {160, 162, 255}
USAGE, NOT_FOUND = 2, 127  # exit statuses of a command given an unknown option, and of a shell that finds no command
UNKNOWN_JOB = 153
KILLED = (124, 129, 130, 131, 134, 137, 139, 141, 143)  # statuses of a command that was killed; not errors of PBS
FINISHED = 35
NO_HISTORY = 36

ADVICE = {
    3: "The site does not allow sweeps of that many points: split it.",
    13: "PBS has reached its limit of connections: try again in a while.",
    32: "A rule of the site (a hook) refuses such jobs; the message is the site's own.",
    38: (
        "You, or your group or project, have as many jobs as the site allows: submit it when some of them have ended, "
        "or choose another queue with --queue."
    ),
    39: (
        "Your jobs together request as much as the site allows you: submit it when some of them have ended, or choose "
        "another queue with --queue."
    ),
    65: "A rule of the site (a hook) refuses such jobs; the message is the site's own.",
    69: "Give it a shorter name with --name, or set `name_length` in the profile.",
    127: "PBS's commands are not on your PATH there: `hpcbrew cluster check` looks for them.",
    159: "Your account may not do that here: try another queue or another project.",
    160: (
        "The host of the PBS server is not known there: either `server` in the profile is wrong, or the site's name "
        "service failed. Nothing was submitted."
    ),
    162: "The PBS server does not answer. Nothing was submitted; try again later.",
    166: "A resource value was not understood: see the #PBS lines with --dry-run.",
    170: "Choose another with --queue; `hpcbrew cluster check` lists those of the site.",
    173: "The site has closed this queue for now; choose another with --queue.",
    174: (
        "This queue is not open to you, or accepts jobs only from a routing queue (`hpcbrew cluster check` tells "
        "which); choose another with --queue."
    ),
    175: "The site does not let this account run jobs: ask the site.",
    185: "PBS has reached its limit of connections: try again in a while.",
    187: "The site has no such resource: correct `resources` or `gpu_types` in the profile.",
    188: (
        "The queue does not accept such a job: it requests too much or too little time, nodes or GPUs, or, at some "
        "sites, its project is used up. `hpcbrew cluster check` shows the queues' limits, and --dry-run what the job "
        "requests; stay within the limits, or choose another queue with --queue."
    ),
    191: "None of the queues behind this one accepts such a job: request less, or choose another with --queue.",
    197: "Your group is not known there: ask the site, or name another project with --project.",
    198: "The queue is full: try again later, or choose another with --queue.",
    201: "This project is not known there, or is used up: name another with --project.",
    206: "The job that it should wait for is no longer known there: hpcbrew status tells how that one ended.",
    212: "The PBS server is being shut down. Nothing was submitted; try again later.",
    247: "The site does not let this account run jobs: ask the site.",
}
"""What to do, by the exit status with which qsub refuses a job."""

TORQUE = {
    33: 162,
    127: 127,
    153: 153,
    159: 159,
    162: 160,
    168: 166,
    172: 170,
    175: 173,
    176: 174,
    187: 185,
    189: 187,
    190: 188,
    193: 191,
    199: 197,
    200: 198,
    203: 201,
    208: 206,
    214: 212,
    228: 38,
}
"""Torque numbers the same errors differently (`src/include/pbs_error_db.h`): its exit status → PBS's."""

TORQUE_NO_ARRAYS = 241
TOO_LATE = "invalid state for job - COMPLETE"
"""What Torque's qdel says about a job that has ended and is still shown for a while."""

BY_FILTER = "administratively rejected"
"""What Torque's qsub says if a site's submit filter refused the job; the filter said why before that."""

BY_HOOK = {32, 65}
"""Statuses if a site's hook refused the job, with a message that may have several lines, or if the hook failed."""

FAILED_RULE, FAILED_HOOK = "encountered an exception", "A rule of the site (a hook) failed there: tell the site."

NOT_ALONE = 156  # PBSE_IVALREQ: a single job of an array cannot be held


@dataclass(frozen=True)
class QstatReport:
    """The result of a query about several jobs: those that the server knows, and those that it says it does not."""

    jobs: dict[str, JobView]
    unknown: frozenset[str]

    def __or__(self, other: "QstatReport") -> "QstatReport":
        return QstatReport({**self.jobs, **other.jobs}, self.unknown | other.unknown)


@dataclass(frozen=True)
class Pbs:
    """`prefix` goes before each command; `form` is the output format requested from `qstat`.

    Text is the default: `qstat -f -F json` of OpenPBS 23.06 prints only the first of several jobs, and other versions
    print invalid JSON. `one_by_one`: qstat makes a connection for each job that it is asked about; `selects`: there is
    a qselect.
    """

    prefix: tuple[str, ...] = ()
    form: Literal["text", "json"] = "text"
    torque: bool = False
    one_by_one: bool = True
    selects: bool = True

    def submit_command(self, script: PurePosixPath) -> tuple[str, ...]:
        return (*self.prefix, "qsub", str(script))

    def parse_submit(self, answer: CommandResult) -> str | None:
        """Returns the id in qsub's answer, whatever login shells or a site's own qsub print before and after it.

        None if qsub succeeded or was killed, but not exactly one line is an id: then what it did is unknown. Raises
        SchedulerError in qsub's words if it refused the job.
        """
        ids = {line.strip() for line in answer.out.splitlines() if FULL_ID.fullmatch(line.strip())}
        if answer.status not in (0, *KILLED) and not ids:
            raise self._refusal(answer)
        return ids.pop() if len(ids) == 1 else None

    def status_command(self, ids: Sequence[str], *, history: bool = True) -> tuple[str, ...]:
        """Returns the command that queries these jobs, or all, with history. Torque shows its history without -x."""
        history_option = ("-x",) if history and not self.torque else ()
        form = ("-F", "json") if self.form == "json" else ()
        return (*self.prefix, "qstat", *history_option, "-f", *form, *ids)

    def status_together(self, ids: Sequence[str], *, history: bool = True) -> tuple[str, ...]:
        """Returns the command that queries many jobs over one connection: with -E, in OpenPBS and PBS Pro of its
        time."""
        command = self.status_command((), history=history)
        return (*command, "-E", *ids)

    def has_no_such_option(self, answer: CommandResult) -> bool:
        """Whether this command does not know an option, being too old or a different one."""
        stderr = answer.err.lower()
        return answer.status == USAGE and not answer.out.strip() and ("usage" in stderr or "option" in stderr)

    def parse_together(self, answer: CommandResult, ids: Sequence[str]) -> QstatReport:
        """As `parse_status`, for the answer to `status_together`: if it names one job as unknown and shows none, it
        knows none of them."""
        report = self.parse_status(answer)
        none_known = answer.status == UNKNOWN_JOB and not report.jobs and report.unknown
        return QstatReport(report.jobs, frozenset(ids)) if none_known else report

    def select_command(self, name: str | None, *, history: bool = True) -> tuple[str, ...]:
        """Returns the command that lists the ids of the user's jobs, or of those with that name; including ended ones,
        if PBS can do that."""
        history_option = " -x" if history and not self.torque else ""
        name_option = ' -N "$1"' if name is not None else ""
        return (
            "sh",
            "-c",
            f'exec qselect{history_option} -u "$(id -un)"{name_option}',
            "sh",
            *([name] if name is not None else []),
        )

    def parse_select(self, answer: CommandResult) -> list[str] | None:
        """Reads the ids. None if there is no qselect, or a different one. Raises SchedulerError if it failed."""
        if answer.status == NOT_FOUND or self.has_no_such_option(answer):
            return None
        if answer.status != 0:
            raise SchedulerError(f"qselect failed (exit status {answer.status}): {answer.words}")
        lines = dict.fromkeys(line.strip() for line in answer.out.splitlines())
        return [line for line in lines if JOB_ID.fullmatch(line)]

    def keeps_no_history(self, answer: CommandResult) -> bool:
        """Whether qstat failed only because it was asked for history, and the site keeps none."""
        return answer.status == NO_HISTORY or "maintain job history" in answer.err

    def parse_status(self, answer: CommandResult, ids: Sequence[str] = ()) -> QstatReport:
        """Reads qstat's answer. Raises SchedulerError if it is not one: then nothing is known, and nothing may change.

        An id that the server does not understand does not affect what it says about the others. `ids`: the queried
        ones. Asked about an array, Torque shows whatever it has, and never says that the array does not exist
        (`src/server/req_stat.c`).
        """
        jobs = pbs_status.parse(answer.out)
        unknown = frozenset(m["id"] for m in UNKNOWN.finditer(answer.err))
        whole = all(job.whole for job in jobs.values()) if jobs else not answer.out.strip()
        if self.torque and answer.status == 0 and whole:
            unknown |= {job_id for job_id in ids if "[]" in job_id and job_id not in jobs}
        if ids and answer.status == 0 and answer.out.strip() and not jobs and not unknown:
            raise SchedulerError(f"qstat's answer names no job: {shortened(answer.words)}")
        if answer.status == 0 or jobs or (answer.status in (UNKNOWN_JOB, FINISHED) and answer.err):
            return QstatReport(jobs, unknown)
        raise SchedulerError(f"qstat failed (exit status {answer.status}): {_unrepeated(answer.words)}")

    def delete_command(self, job_id: str) -> tuple[str, ...]:
        return (*self.prefix, "qdel", job_id)

    def hold_command(self, job_id: str) -> tuple[str, ...]:
        return (*self.prefix, "qhold", job_id)

    def release_command(self, job_id: str) -> tuple[str, ...]:
        return (*self.prefix, "qrls", job_id)

    def parse_change(self, answer: CommandResult) -> bool:
        """Returns whether qdel, qhold or qrls took effect; False for an ended job. Raises SchedulerError for a
        refusal."""
        if answer.status == 0:
            return True
        unknown = answer.status == UNKNOWN_JOB and UNKNOWN.search(answer.err)
        if answer.status == FINISHED or unknown or TOO_LATE in answer.err:
            return False
        message = _unrepeated(answer.words)
        if answer.status == NOT_ALONE and "[" in message:
            raise SchedulerError(f"PBS can only hold and release a whole array, not one of its jobs: {message}")
        if answer.status in NO_SERVER:
            raise SchedulerError(f"the PBS server does not answer, and nothing was changed: {message}. Try again later")
        raise SchedulerError(f"PBS refused (exit status {answer.status}): {message}")

    def _refusal(self, answer: CommandResult) -> SchedulerError:
        words = answer.words.splitlines()
        first = next((n for n, line in enumerate(words) if line.startswith("qsub:")), 0)
        message, advice = words[first], self._advice(answer.status)  # usage text follows the fault
        if answer.status in BY_HOOK:
            message = shortened(" ".join(words[first:]))
            advice = FAILED_HOOK if FAILED_RULE in message else advice
        elif BY_FILTER in message:
            message, advice = shortened(" ".join(words)), ADVICE[32]
        return SchedulerError(
            f"qsub refused the job (exit status {answer.status}): {message.rstrip('.')}. {advice}".rstrip()
        )

    def _advice(self, status: int) -> str:
        if self.torque and status == TORQUE_NO_ARRAYS:
            return "The queue does not accept sweeps: choose another with --queue, or submit the points one by one."
        return ADVICE.get(TORQUE.get(status, 0) if self.torque else status, "")


def _unrepeated(words: str) -> str:
    """Returns a command's message on one line, without repetitions: qstat reports an absent server once per job."""
    return "; ".join(dict.fromkeys(" ".join(line.split()) for line in words.splitlines() if line.strip()))
