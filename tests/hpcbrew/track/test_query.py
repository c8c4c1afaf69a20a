from collections.abc import Sequence
from pathlib import PurePosixPath

import pytest
from support.captures import FOLDER as CAPTURES

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.track.query import ids_by_folder, others, poll

RUNNING = (CAPTURES / "running_f.txt").read_text()
NO_HISTORY = CommandResult(36, err="qstat: PBS is not configured to maintain job history\n")
DOWN = CommandResult(255, err="qstat: cannot connect to server pbs01 (errno=15010)\n")


class Scripted:
    """A transport whose commands answer what they are told to, in turn."""

    def __init__(self, *answers: CommandResult) -> None:
        self.answers, self.asked = list(answers), list[tuple[str, ...]]()

    def run(self, command: Sequence[str], folder: PurePosixPath, *, idempotent: bool = False) -> CommandResult:
        self.asked.append(tuple(command))
        return self.answers.pop(0)


def test_a_site_without_history_is_asked_again_without_it() -> None:
    site = Scripted(NO_HISTORY, CommandResult(0, RUNNING))
    assert list(poll(site, Pbs(), ["1.pbs01"]).jobs) == ["1.pbs01"]  # type: ignore[arg-type]
    assert site.asked == [("qstat", "-x", "-f", "1.pbs01"), ("qstat", "-f", "1.pbs01")]


def test_another_refusal_is_not_asked_about_twice() -> None:
    site = Scripted(DOWN)
    with pytest.raises(SchedulerError, match="cannot connect"):
        poll(site, Pbs())  # type: ignore[arg-type]
    assert site.asked == [("qstat", "-x", "-f")]


class Answering:
    """A transport whose every command gives the same answer."""

    def __init__(self, out: str) -> None:
        self.out = out

    def run(self, command, folder: PurePosixPath, *, idempotent: bool = False) -> CommandResult:
        return CommandResult(0, self.out)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("pbs01:/scratch/me/runs/lenet-ab12/scheduler.log", "lenet-ab12"),
        ("pbs01:/scratch/me/runs/lenet-ab12/points/^array_index^/scheduler.log", "lenet-ab12"),
        ("pbs01:/home/me/other.out", None),
    ],
)
def test_a_job_belongs_to_the_run_folder_of_its_log(output: str, found: str | None) -> None:
    said = f"Job Id: 7.pbs01\n    Job_Name = lenet\n    job_state = Q\n    Output_Path = {output}\n"
    ids = ids_by_folder(Answering(said), Pbs())  # type: ignore[arg-type]
    assert ids == ({found: ("7.pbs01",)} if found else {})


def test_the_links_of_a_chain_come_in_the_scheduler_s_order() -> None:
    said = "".join(
        f"Job Id: {n}.pbs01\n    job_state = Q\n    Output_Path = pbs01:/s/runs/lenet-ab12/scheduler.log\n"
        for n in (7, 9)
    )
    ids = ids_by_folder(Answering(said), Pbs())  # type: ignore[arg-type]
    assert ids == {"lenet-ab12": ("7.pbs01", "9.pbs01")}


OURS = "Job Id: {}\n    job_state = F\n    Exit_status = 0\n    Output_Path = h:/scratch/runs/{}/scheduler.log\n\n"


def test_jobs_of_other_run_folders_are_known_by_their_logs() -> None:
    report = Pbs().parse_status(CommandResult(0, OURS.format("1.pbs01", "a-1") + OURS.format("2.pbs01", "b-2")))
    assert others(report, ["1.pbs01", "2.pbs01", "3.pbs01"], "a-1") == {"2.pbs01": "b-2"}


def test_an_id_that_no_job_can_have_is_none() -> None:
    said = OURS.format("\x1b[2J", "a-1") + OURS.format("9" * 300, "a-1") + OURS.format("1.pbs01", "a-1")
    assert ids_by_folder(Answering(said), Pbs()) == {"a-1": ("1.pbs01",)}  # type: ignore[arg-type]
