"""PBS Pro, OpenPBS and Torque: commands, each beside the reading of its answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.schedulers import pbs_status
from hpcbrew.schedulers.pbs_status import JobView

JOB_ID = re.compile(r"\d+(\[\d*\])?(\.[\w.-]+)?")
UNKNOWN = re.compile(r"Unknown Job Id (?P<id>\S+)")

# PBS's error numbers modulo 256, as its commands exit with them.
NO_SERVER = {160, 162, 255}
UNKNOWN_JOB = 153
FINISHED = 35
NO_HISTORY = 36

ADVICE = {
    127: "PBS's commands are not on your PATH there: `hpcbrew cluster check` looks for them.",
    159: "Your account may not do that here: another queue, or another project, may be open to you.",
    160: "The server name in the profile (`server`) is not known there.",
    162: "The PBS server does not answer. Nothing was submitted; try again later.",
    166: "A resource value was not understood: see the #PBS lines with --dry-run.",
    170: "Choose another with --queue; `hpcbrew cluster check` lists those of the site.",
    173: "The site has closed this queue for now; choose another with --queue.",
    187: "The site has no such resource: correct `resources` or `gpu_types` in the profile.",
    188: "The queue allows less: ask for fewer GPUs, nodes or hours, or choose another with --queue.",
}


@dataclass(frozen=True)
class QstatReport:
    """What one question about several jobs brought: those that the server knows, and those that it says it does not."""

    jobs: dict[str, JobView]
    unknown: frozenset[str]


@dataclass(frozen=True)
class Pbs:
    """`prefix` goes before each command; `form` is the form in which `qstat` is asked to answer.

    Text is the default: `qstat -f -F json` of OpenPBS 23.06 gives only the first of several jobs, and other versions
    print JSON that is none.
    """

    prefix: tuple[str, ...] = ()
    form: Literal["text", "json"] = "text"
    torque: bool = False

    def submit_command(self, script: PurePosixPath) -> tuple[str, ...]:
        return (*self.prefix, "qsub", str(script))

    def parse_submit(self, answer: CommandResult) -> str:
        """The id in qsub's last line: login noise may come first. Raises SchedulerError in qsub's words."""
        lines = answer.out.strip().splitlines()
        if answer.status == 0 and lines and JOB_ID.fullmatch(lines[-1].strip()):
            return lines[-1].strip()
        advice = ADVICE.get(answer.status, "")
        words = answer.words.splitlines()
        said = next((w for w in words if w.startswith("qsub:")), words[0])  # usage text follows the fault
        raise SchedulerError(f"qsub refused the job (exit status {answer.status}): {said}. {advice}".rstrip())

    def status_command(self, ids: Sequence[str], *, history: bool = True) -> tuple[str, ...]:
        """All jobs in one question, history included. Torque keeps its own history in the same form."""
        ended = ("-x",) if history and not self.torque else ()
        form = ("-F", "json") if self.form == "json" else ()
        return (*self.prefix, "qstat", *ended, "-f", *form, *ids)

    def keeps_no_history(self, answer: CommandResult) -> bool:
        """Whether qstat was refused only because it was asked for history, and the site keeps none."""
        return answer.status == NO_HISTORY or "maintain job history" in answer.err

    def parse_status(self, answer: CommandResult) -> QstatReport:
        """Raises SchedulerError where the answer is none: then nothing is known, and nothing may change.

        One id that the server cannot make sense of does not take away what it says of the others.
        """
        jobs = pbs_status.parse(answer.out)
        unknown = frozenset(m["id"] for m in UNKNOWN.finditer(answer.err))
        if answer.status == 0 or jobs or (answer.status in (UNKNOWN_JOB, FINISHED) and answer.err):
            return QstatReport(jobs, unknown)
        raise SchedulerError(f"qstat failed (exit status {answer.status}): {answer.words}")

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
        if answer.status == FINISHED or (answer.status == UNKNOWN_JOB and UNKNOWN.search(answer.err)):
            return False
        said = " ".join(answer.words.split())
        if answer.status in NO_SERVER:
            raise SchedulerError(f"the PBS server does not answer, and nothing was changed: {said}. Try again later")
        raise SchedulerError(f"PBS refused (exit status {answer.status}): {said}")
