"""A job from submission on, over a real SSH connection to a PBS."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from support.remote import RemoteCluster

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import RequestError, SchedulerError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import refresh


def test_a_solver_is_trained_on_the_cluster(remote: RemoteCluster, model: Path) -> None:
    record = remote.submit(model)
    remote.until(JobState.DONE)
    assert Path(record.run_folder).parent == remote.home / "scratch" / "runs"
    assert "tiny_iter_3.caffemodel" in remote.transport.names(record.run_folder / "snapshots")
    assert b"Optimization Done." in (remote.transport.read(record.run_folder / "train.log") or b"")


def test_data_that_lie_there_are_used_where_they_lie(remote: RemoteCluster, model: Path) -> None:
    there, net = remote.home / "data" / "train_lmdb", model / "net.prototxt"
    net.write_text(net.read_text().replace('"train_lmdb"', f'"{there}"'))
    plan = remote.plan(model)
    with pytest.raises(RequestError, match=f"no readable database at {there}/data.mdb, neither here nor on there"):
        remote.send(plan)
    assert remote.ledger.all() == []
    there.parent.mkdir()
    (model / "train_lmdb").rename(there)
    remote.send(plan)
    remote.until(JobState.DONE)


def test_a_submit_with_nothing_to_ship_takes_five_round_trips(remote: RemoteCluster, model: Path) -> None:
    remote.engine("sleep 60")
    remote.submit(model)
    remote.transport.trips, remote.transport._roots = 0, {}
    remote.submit(model, name="again")
    assert remote.transport.trips <= 5  # scratch, the engine, what is there, the run folder, qsub


def test_a_refused_job_leaves_nothing_there(remote: RemoteCluster, model: Path) -> None:
    with pytest.raises(SchedulerError, match=r"qsub refused the job \(exit status 170\): qsub: Unknown queue"):
        remote.submit(model, queue="fast")
    assert remote.transport.names(PurePosixPath(remote.home / "scratch" / "runs")) == []
    assert remote.ledger.all() == []


def test_a_connection_cut_after_qsub_makes_no_second_job_and_loses_none(remote: RemoteCluster, model: Path) -> None:
    remote.engine("sleep 60")
    remote.transport.cut_after = "qsub job.pbs"
    record = remote.submit(model)
    assert record.id == "1.pbs01"
    assert remote.pbs.run("qstat", "-x", "-f").stdout.count("Job_Name") == 1


def test_a_job_whose_id_was_never_written_is_found_by_its_folder(remote: RemoteCluster, model: Path) -> None:
    remote.engine("sleep 60")
    record = remote.submit(model)
    (Path(record.run_folder) / "job.id").unlink()
    lost = replace(record, token="other", id=None, status=JobStatus(JobState.SUBMITTING))
    remote.ledger.intend(lost)
    (tracked,) = refresh.look(remote.site, [lost], remote.ledger)
    assert tracked.record.id == remote.ledger.find("other").id == record.id
    assert tracked.record.status.state in (JobState.QUEUED, JobState.RUNNING)


def test_a_job_that_never_reached_the_scheduler_is_lost_after_a_while(remote: RemoteCluster, model: Path) -> None:
    folder = PurePosixPath(remote.home / "scratch" / "runs" / "tiny-t")
    address = remote.profile.address
    for token, age in (("young", 60.0), ("old", 3600.0)):
        sent = JobRecord(token, "tiny", address, "s", time.time() - age, folder, JobStatus(JobState.SUBMITTING))
        remote.ledger.intend(sent)
    states = [str(w.record.status.state) for w in refresh.look(remote.site, remote.ledger.all(), remote.ledger)]
    assert states == ["lost", "submitting"]


def test_a_server_that_does_not_answer_changes_no_state(remote: RemoteCluster, model: Path) -> None:
    remote.engine("sleep 60")
    remote.submit(model)
    before = remote.ledger.all()
    remote.pbs.configure(down=True)
    (tracked,) = refresh.look(remote.site, before, remote.ledger)
    said = "Connection refused; qstat: cannot connect to server pbs01 (errno=15010)"
    assert tracked.trouble == f"qstat failed (exit status 255): {said}"
    assert remote.ledger.all() == before


def test_one_question_for_all_jobs(remote: RemoteCluster, model: Path) -> None:
    remote.engine("sleep 60")
    for name in ("a", "b", "c"):
        remote.submit(model, name=name)
    asked: list[str] = []
    run: Callable[..., CommandResult] = remote.transport.run
    remote.transport.run = lambda command, folder, **how: (asked.append(command[0]), run(command, folder, **how))[1]  # type: ignore[method-assign]
    refresh.look(remote.site, remote.ledger.all(), remote.ledger)
    assert asked == ["qstat"]
