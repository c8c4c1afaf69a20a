"""A job from submission on, over a real SSH connection to a PBS."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from support.remote import There

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import refresh


def test_a_solver_is_trained_on_the_cluster(there: There, model: Path) -> None:
    record = there.submit(model)
    there.until(JobState.DONE)
    assert Path(record.run_folder).parent == there.home / "scratch" / "runs"
    assert "tiny_iter_3.caffemodel" in there.transport.names(record.run_folder / "snapshots")
    assert b"Optimization Done." in (there.transport.read(record.run_folder / "train.log") or b"")


def test_a_submit_with_nothing_to_ship_takes_four_round_trips(there: There, model: Path) -> None:
    there.engine("sleep 60")
    there.submit(model)
    there.transport.trips, there.transport._roots = 0, {}
    there.submit(model, name="again")
    assert there.transport.trips <= 4


def test_a_refused_job_leaves_nothing_there(there: There, model: Path) -> None:
    with pytest.raises(SchedulerError, match=r"qsub refused the job \(exit status 170\): qsub: Unknown queue"):
        there.submit(model, queue="fast")
    assert there.transport.names(PurePosixPath(there.home / "scratch" / "runs")) == []
    assert there.ledger.all() == []


def test_a_connection_cut_after_qsub_makes_no_second_job_and_loses_none(there: There, model: Path) -> None:
    there.engine("sleep 60")
    there.transport.cut_after = "qsub job.pbs"
    record = there.submit(model)
    assert record.id == "1.pbs01"
    assert there.pbs.run("qstat", "-x", "-f").stdout.count("Job_Name") == 1


def test_a_job_whose_id_was_never_written_is_found_by_its_folder(there: There, model: Path) -> None:
    there.engine("sleep 60")
    record = there.submit(model)
    (Path(record.run_folder) / "job.id").unlink()
    lost = replace(record, token="other", id=None, status=JobStatus(JobState.SUBMITTING))
    there.ledger.intend(lost)
    (tracked,) = refresh.look(there.site, [lost], there.ledger)
    assert tracked.record.id == there.ledger.find("other").id == record.id
    assert tracked.record.status.state in (JobState.QUEUED, JobState.RUNNING)


def test_a_job_that_never_reached_the_scheduler_is_lost_after_a_while(there: There, model: Path) -> None:
    folder = PurePosixPath(there.home / "scratch" / "runs" / "tiny-t")
    address = there.profile.address
    for token, age in (("young", 60.0), ("old", 3600.0)):
        sent = JobRecord(token, "tiny", address, "s", time.time() - age, folder, JobStatus(JobState.SUBMITTING))
        there.ledger.intend(sent)
    states = [str(w.record.status.state) for w in refresh.look(there.site, there.ledger.all(), there.ledger)]
    assert states == ["lost", "submitting"]


def test_a_server_that_does_not_answer_changes_no_state(there: There, model: Path) -> None:
    there.engine("sleep 60")
    there.submit(model)
    before = there.ledger.all()
    there.pbs.configure(down=True)
    (tracked,) = refresh.look(there.site, before, there.ledger)
    said = "Connection refused\nqstat: cannot connect to server pbs01 (errno=15010)"
    assert tracked.trouble == f"qstat failed (exit status 255): {said}"
    assert there.ledger.all() == before


def test_one_question_for_all_jobs(there: There, model: Path) -> None:
    there.engine("sleep 60")
    for name in ("a", "b", "c"):
        there.submit(model, name=name)
    asked: list[str] = []
    run: Callable[..., CommandResult] = there.transport.run
    there.transport.run = lambda command, folder, **how: (asked.append(command[0]), run(command, folder, **how))[1]  # type: ignore[method-assign]
    refresh.look(there.site, there.ledger.all(), there.ledger)
    assert asked == ["qstat"]
