"""A sweep is an array of jobs, each of which can be asked for; one that fails takes none of the others along."""

import json
from pathlib import Path

import pytest
from support.remote import RemoteCluster

from hpcbrew.job import JobPlan, JobRecord, JobRequest, JobState, new_token
from hpcbrew.plan import sweep
from hpcbrew.plan.hardware import Machine
from hpcbrew.track import compare

ENGINE = """
rate=$(sed -n 's/base_lr: //p' solver.prototxt)
for i in 1 2 3; do
    echo "{\\"phase\\": \\"train\\", \\"iteration\\": $i, \\"loss\\": $rate, \\"outputs\\": {}}" >>metrics.jsonl
done
echo '{"phase": "test", "net": 0, "iteration": 3, "loss": 1, "outputs": {"accuracy": 0.5}}' >>metrics.jsonl
echo "{\\"iteration\\": 3, \\"max_iter\\": 3, \\"loss\\": $rate}" >progress.json
[[ $rate != 0.5 ]]
"""


def planned(remote: RemoteCluster, model: Path, *axes: str) -> JobPlan:
    asked = JobRequest(model / "solver.prototxt", cpus=1)
    return sweep.plan(asked, remote.profile, sweep.points(axes), Machine(1, 0), new_token())


def ended(remote: RemoteCluster, record: JobRecord) -> JobRecord:
    while not (record := remote.look(record).record).status.state.final:
        pass
    return record


def test_a_sweep_is_an_array_whose_jobs_can_be_asked_for(remote: RemoteCluster, model: Path) -> None:
    remote.engine("touch begun; while [ ! -e ../../go ]; do sleep 0.1; done; grep -q 'base_lr: 0.1' solver.prototxt")
    record = remote.send(planned(remote, model, "base_lr=0.1,0.2"))
    assert record.id == "1[].pbs01"
    assert remote.until(JobState.RUNNING).record.status.reason == "2 running"
    (Path(record.run_folder) / "go").touch()
    ended(remote, record)
    both = [remote.look(remote.ledger.find(f"1[{n}]")).record.status for n in (1, 2)]
    assert [status.state for status in both] == [JobState.DONE, JobState.FAILED]
    assert both[1].exit_status == 1


def test_one_point_of_a_sweep_is_cancelled_and_the_others_go_on(remote: RemoteCluster, model: Path) -> None:
    remote.engine("touch begun; while [ ! -e ../../go ]; do sleep 0.1; done")
    record = remote.send(planned(remote, model, "base_lr=0.1,0.2"))
    remote.until(JobState.RUNNING)
    remote.pbs.run("qdel", "1[2]")
    second = remote.until(JobState.CANCELLED, record=remote.ledger.find("1[2]")).record.status
    assert second.reason.startswith("deleted by ")
    assert remote.look(remote.ledger.find("1[1]")).record.status.state is JobState.RUNNING
    (Path(record.run_folder) / "go").touch()
    remote.until(JobState.DONE, record=remote.ledger.find("1[1]"))


def test_a_sweep_runs_and_is_compared(named: RemoteCluster, model: Path, tmp_path: Path, hpcbrew) -> None:
    named.engine(ENGINE)
    record = ended(named, named.send(planned(named, model, "base_lr=0.25,0.5")))
    assert (record.status.state, record.status.reason) == (JobState.FAILED, "at least one job of the array failed")
    first, second = compare.rows([record], named.ledger, pytest.fail)
    assert (first.id, first.settings, first.state) == ("1[1].pbs01", {"base_lr": "0.25"}, JobState.DONE)
    assert (first.iteration, first.loss, first.outputs) == (3, 0.25, {"accuracy": 0.5})
    assert (second.state, second.as_json()["losses"]) == (JobState.FAILED, [(1, 0.5), (2, 0.5), (3, 0.5)])
    shown = hpcbrew("compare", "1", "--plot", tmp_path / "sweep.png")
    assert shown.stdout.splitlines()[:2] == [
        "ID          NAME     BASE_LR  STATE   ITERATION  LOSS  BEST ACCURACY  LAST ACCURACY",
        "1[1].pbs01  tiny[1]  0.25     done    3/3        0.25  0.5 at 3       0.5 at 3",
    ]
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    (one,) = json.loads(hpcbrew("status", "1[2]", "--json").stdout)
    assert (one["id"], one["state"], one["exit_status"]) == ("1[2].pbs01", "failed", 1)
    assert "hpcbrew: job 1[2].pbs01" in hpcbrew("logs", "tiny[2]").stdout


def test_a_point_that_is_cancelled_in_the_queue_is_cancelled(remote: RemoteCluster, model: Path) -> None:
    """PBS shows it with the comment, and in the end with the exit status, of the whole array."""
    remote.pbs.configure(queues={"workq": {"started": "False"}})
    remote.send(planned(remote, model, "base_lr=0.1,0.2"))
    remote.pbs.run("qdel", "1[2]")
    second, first = (remote.look(remote.ledger.find(f"1[{n}]")).record.status for n in (2, 1))
    assert (second.state, second.reason) == (JobState.CANCELLED, "deleted")
    assert (first.state, first.reason) == (JobState.QUEUED, "")
