"""A job on two nodes, from submit to the second node's log."""

from pathlib import Path

from support.remote import RemoteCluster

from hpcbrew.job import JobState


def test_two_nodes_train_and_each_has_its_log(named: RemoteCluster, model: Path, hpcbrew) -> None:
    named.pbs.configure(spare=["pbs02"])
    record = named.submit(model, nodes=2, cpus=1)
    assert named.until(JobState.DONE, record=record).progress.iteration == 3
    first, second = hpcbrew("logs", "tiny"), hpcbrew("logs", "tiny", "--rank", "1")
    assert "Iteration 2, Testing net" in first.stdout
    assert "Optimization Done." in second.stdout
    assert "Testing net" not in second.stdout
    assert hpcbrew("logs", "tiny", "--rank", "2").stderr == (
        "hpcbrew: error: --rank 2: tiny runs on 2 nodes, counted from 0\n"
    )
