"""Whose job is it? Told by where the scheduler's log of it is to lie."""

from pathlib import PurePosixPath

import pytest

from hpcbrew.command_result import CommandResult
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.track import recover


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
    ids = recover.ids_by_folder(Answering(said), Pbs())  # type: ignore[arg-type]
    assert ids == ({found: ("7.pbs01",)} if found else {})


def test_the_links_of_a_chain_come_in_the_scheduler_s_order() -> None:
    said = "".join(
        f"Job Id: {n}.pbs01\n    job_state = Q\n    Output_Path = pbs01:/s/runs/lenet-ab12/scheduler.log\n"
        for n in (7, 9)
    )
    ids = recover.ids_by_folder(Answering(said), Pbs())  # type: ignore[arg-type]
    assert ids == {"lenet-ab12": ("7.pbs01", "9.pbs01")}
