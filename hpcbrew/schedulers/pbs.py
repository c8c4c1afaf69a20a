"""PBS Pro, OpenPBS and Torque: commands, each beside the reading of its answer."""

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
"""An id with the server's name, as all of PBS's own qsubs print it: a number alone, or a version, may be anything."""
UNKNOWN = re.compile(r"Unknown Job Id (?:Error )?(?P<id>\S+)")  # `Error` is in the words of Torque

# PBS's error numbers modulo 256, as its commands exit with them.
NO_SERVER = {160, 162, 255}
USAGE, NOT_FOUND = 2, 127  # of a command that does not know an option; of a shell that finds no command
UNKNOWN_JOB = 153
KILLED = (124, 129, 130, 131, 134, 137, 139, 141, 143)  # a command that was ended from outside; no error of PBS's
FINISHED = 35
NO_HISTORY = 36

ADVICE = {
    3: "A sweep may have fewer points here: split it.",
    13: "PBS has as many connections as it can hold: try again in a while.",
    32: "A rule of the site (a hook) refuses such jobs: what it says is the site's own.",
    38: (
        "You, or your group or project, hold as many jobs as the site allows you: submit it when some of them have "
        "ended, or choose another queue with --queue."
    ),
    39: (
        "Your jobs ask for as much together as the site allows you: submit it when some of them have ended, or choose "
        "another queue with --queue."
    ),
    65: "A rule of the site (a hook) refuses such jobs: what it says is the site's own.",
    69: "Give it a shorter name with --name, or `name_length` in the profile.",
    127: "PBS's commands are not on your PATH there: `hpcbrew cluster check` looks for them.",
    159: "Your account may not do that here: another queue, or another project, may be open to you.",
    160: (
        "The host of the PBS server is not known there, whether `server` in the profile is wrong or the site's name "
        "service failed. Nothing was submitted."
    ),
    162: "The PBS server does not answer. Nothing was submitted; try again later.",
    166: "A resource value was not understood: see the #PBS lines with --dry-run.",
    170: "Choose another with --queue; `hpcbrew cluster check` lists those of the site.",
    173: "The site has closed this queue for now; choose another with --queue.",
    174: (
        "This queue is not open to you, or takes jobs from a routing queue only (`hpcbrew cluster check` tells which); "
        "choose another with --queue."
    ),
    175: "The site does not let this account run jobs: ask it.",
    185: "PBS has as many connections as it can hold: try again in a while.",
    187: "The site has no such resource: correct `resources` or `gpu_types` in the profile.",
    188: (
        "The queue takes no such job: it asks for too much or too little time, nodes or GPUs, or, at some sites, its "
        "project is used up. `hpcbrew cluster check` shows the queues' limits; ask within them, or choose another with "
        "--queue."
    ),
    191: "None of the queues that this one leads to takes such a job: ask for less, or choose another with --queue.",
    197: "Your group is not known there: ask the site, or name another project with --project.",
    198: "The queue holds as many jobs as it may: try again later, or choose another with --queue.",
    201: "This project is not known there, or is used up: name another with --project.",
    206: "The job that it is to wait for is not known there any more: hpcbrew status tells how that one ended.",
    212: "The PBS server is being shut down. Nothing was submitted; try again later.",
    247: "The site does not let this account run jobs: ask it.",
}
"""What to do, by the exit status of a qsub that refuses."""

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
"""Torque has numbers of its own for the same errors (`src/include/pbs_error_db.h`): its exit status, and PBS's."""

TORQUE_NO_ARRAYS = 241
TOO_LATE = "invalid state for job - COMPLETE"
"""What Torque's qdel says of a job that has ended, and is shown for a while yet."""

BY_FILTER = "administratively rejected"
"""A site's submit filter refuses the job to Torque's qsub, and said why before that."""

BY_HOOK = {32, 65}
"""A rule of the site's refuses the job, in words of its own, which may take several lines; or it failed itself."""

FAILED_RULE, FAILED_HOOK = "encountered an exception", "A rule of the site (a hook) failed there: tell the site."

NOT_ALONE = 156  # PBSE_IVALREQ: to hold one job of an array is not a valid request


@dataclass(frozen=True)
class QstatReport:
    """What one question about several jobs brought: those that the server knows, and those that it says it does not."""

    jobs: dict[str, JobView]
    unknown: frozenset[str]

    def __or__(self, other: "QstatReport") -> "QstatReport":
        return QstatReport({**self.jobs, **other.jobs}, self.unknown | other.unknown)


@dataclass(frozen=True)
class Pbs:
    """`prefix` goes before each command; `form` is the form in which `qstat` is asked to answer.

    Text is the default: `qstat -f -F json` of OpenPBS 23.06 gives only the first of several jobs, and other versions
    print JSON that is none. `one_by_one`: qstat makes a connection for each job that it is asked for; `selects`: there
    is a qselect.
    """

    prefix: tuple[str, ...] = ()
    form: Literal["text", "json"] = "text"
    torque: bool = False
    one_by_one: bool = True
    selects: bool = True

    def submit_command(self, script: PurePosixPath) -> tuple[str, ...]:
        return (*self.prefix, "qsub", str(script))

    def parse_submit(self, answer: CommandResult) -> str | None:
        """The id in qsub's answer, whatever else is said before and after it, by login shells or by a site's own qsub.

        None where qsub ended well, or was killed, and no line, or more than one, is an id: nobody can tell what it did.
        Raises SchedulerError in qsub's words where it refused.
        """
        ids = {line.strip() for line in answer.out.splitlines() if FULL_ID.fullmatch(line.strip())}
        if answer.status not in (0, *KILLED) and not ids:
            raise self._refusal(answer)
        return ids.pop() if len(ids) == 1 else None

    def status_command(self, ids: Sequence[str], *, history: bool = True) -> tuple[str, ...]:
        """All jobs in one question, history included. Torque keeps its own history in the same form."""
        ended = ("-x",) if history and not self.torque else ()
        form = ("-F", "json") if self.form == "json" else ()
        return (*self.prefix, "qstat", *ended, "-f", *form, *ids)

    def status_together(self, ids: Sequence[str], *, history: bool = True) -> tuple[str, ...]:
        """Many jobs by one connection: -E of OpenPBS, and of PBS Pro of its time."""
        command = self.status_command((), history=history)
        return (*command, "-E", *ids)

    def has_no_such_option(self, answer: CommandResult) -> bool:
        """Whether this qstat is too old, or another one, for an option."""
        said = answer.err.lower()
        return answer.status == USAGE and not answer.out.strip() and ("usage" in said or "option" in said)

    def parse_together(self, answer: CommandResult, ids: Sequence[str]) -> QstatReport:
        """As `parse_status`, of the answer to `status_together`: where it names one job as unknown and shows none, it
        knows none of them."""
        report = self.parse_status(answer)
        none_known = answer.status == UNKNOWN_JOB and not report.jobs and report.unknown
        return QstatReport(report.jobs, frozenset(ids)) if none_known else report

    def select_command(self, name: str | None, *, history: bool = True) -> tuple[str, ...]:
        """The ids of the user's jobs, or of those of that name; with those that have ended, where PBS can do that."""
        ended = " -x" if history and not self.torque else ""
        named = ' -N "$1"' if name is not None else ""
        return ("sh", "-c", f'exec qselect{ended} -u "$(id -un)"{named}', "sh", *([name] if name is not None else []))

    def parse_select(self, answer: CommandResult) -> list[str] | None:
        """None where there is no such command, or another one. Raises SchedulerError where it was not answered."""
        if answer.status == NOT_FOUND or self.has_no_such_option(answer):
            return None
        if answer.status != 0:
            raise SchedulerError(f"qselect failed (exit status {answer.status}): {answer.words}")
        lines = dict.fromkeys(line.strip() for line in answer.out.splitlines())
        return [line for line in lines if JOB_ID.fullmatch(line)]

    def keeps_no_history(self, answer: CommandResult) -> bool:
        """Whether qstat was refused only because it was asked for history, and the site keeps none."""
        return answer.status == NO_HISTORY or "maintain job history" in answer.err

    def parse_status(self, answer: CommandResult, ids: Sequence[str] = ()) -> QstatReport:
        """Raises SchedulerError where the answer is none: then nothing is known, and nothing may change.

        One id that the server cannot make sense of does not take away what it says of the others. `ids`: those that it
        was asked for. Asked for an array, Torque shows all that it has, and says of none that it is not there
        (`src/server/req_stat.c`).
        """
        jobs = pbs_status.parse(answer.out)
        unknown = frozenset(m["id"] for m in UNKNOWN.finditer(answer.err))
        whole = all(job.whole for job in jobs.values()) if jobs else not answer.out.strip()
        if self.torque and answer.status == 0 and whole:
            unknown |= {job_id for job_id in ids if "[]" in job_id and job_id not in jobs}
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
        """Whether qdel, qhold or qrls was obeyed; False for an ended job. Raises SchedulerError for a refusal."""
        if answer.status == 0:
            return True
        unknown = answer.status == UNKNOWN_JOB and UNKNOWN.search(answer.err)
        if answer.status == FINISHED or unknown or TOO_LATE in answer.err:
            return False
        said = _unrepeated(answer.words)
        if answer.status == NOT_ALONE and "[" in said:
            raise SchedulerError(f"PBS holds and releases an array as a whole, not one of its jobs: {said}")
        if answer.status in NO_SERVER:
            raise SchedulerError(f"the PBS server does not answer, and nothing was changed: {said}. Try again later")
        raise SchedulerError(f"PBS refused (exit status {answer.status}): {said}")

    def _refusal(self, answer: CommandResult) -> SchedulerError:
        words = answer.words.splitlines()
        first = next((n for n, line in enumerate(words) if line.startswith("qsub:")), 0)
        said, advice = words[first], self._advice(answer.status)  # usage text follows the fault
        if answer.status in BY_HOOK:
            said = shortened(" ".join(words[first:]))
            advice = FAILED_HOOK if FAILED_RULE in said else advice
        elif BY_FILTER in said:
            said, advice = shortened(" ".join(words)), ADVICE[32]
        return SchedulerError(
            f"qsub refused the job (exit status {answer.status}): {said.rstrip('.')}. {advice}".rstrip()
        )

    def _advice(self, status: int) -> str:
        if self.torque and status == TORQUE_NO_ARRAYS:
            return "The queue takes no sweeps: choose another with --queue, or submit its points one by one."
        return ADVICE.get(TORQUE.get(status, 0) if self.torque else status, "")


def _unrepeated(words: str) -> str:
    """What a command said on one line, once: qstat says of each job that it is asked for that the server is away."""
    return "; ".join(dict.fromkeys(" ".join(line.split()) for line in words.splitlines() if line.strip()))
