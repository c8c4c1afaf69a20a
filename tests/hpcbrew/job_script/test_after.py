"""`--after` a chain: the scripts as submitted, in the queue on this machine, around an engine that does as told."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from support.until import until

from hpcbrew.clusters import profiles
from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobRecord, JobRequest, JobState, new_token
from hpcbrew.plan import build, sweep
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.submit import dependency
from hpcbrew.submit.submit import submit
from hpcbrew.track import control, refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import TrackedJob

# Each run takes a line of the file that is called as its job: an exit status, the snapshot that it leaves, and whether
# it waits to be let go.
ENGINE = """#!/bin/bash
name=${{PWD##*/}} name=${{name%-*}}
read -r status iteration wait <"{folder}/$name"
sed -i 1d "{folder}/$name"
[[ -z $iteration ]] || touch "snapshots/tiny_iter_$iteration.solverstate"
while [[ $wait && ! -e "{folder}/go" ]]; do sleep 0.05; done
[[ $status != killed ]] || kill -9 $PPID
echo "$name" >>"{folder}/ran"
exit "$status"
"""
ENDED = (JobState.DONE, JobState.FAILED, JobState.OUT_OF_WALLTIME, JobState.CANCELLED, JobState.NEVER_RAN)


@dataclass
class Queue:
    folder: Path
    model: Path
    ledger: Ledger

    def submit(self, name: str, *runs: str, after: JobRecord | None = None, links: int | None = 1) -> JobRecord:
        (self.folder / name).write_text("".join(f"{run}\n" for run in runs))
        profile = profiles.load("local")
        waits = dependency.after(after.token, profile.address, self.ledger) if after else None
        asked = JobRequest(self.model / "solver.prototxt", name=name, links=links, after=waits)
        made = plan_job(asked, profile, Machine(1, 0), new_token())
        site = refresh.reach(made.address)
        return submit(made, "solver.prototxt", site.transport, site.scheduler, self.ledger, lambda size: None)

    def look(self, record: JobRecord) -> TrackedJob:
        return refresh.look(refresh.reach(record.address), [record], self.ledger)[0]

    def until(self, record: JobRecord, *states: JobState) -> TrackedJob:
        return until(lambda: (seen := self.look(record)).record.status.state in states and seen)

    def go(self) -> None:
        (self.folder / "go").touch()

    @property
    def ran(self) -> list[str]:
        return (self.folder / "ran").read_text().split()


@pytest.fixture
def queue(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    folder = tmp_path / "engine"
    folder.mkdir()
    engine = folder / "caffe"
    engine.write_text(ENGINE.format(folder=folder))
    engine.chmod(0o755)
    monkeypatch.setattr(build, "_engine", lambda *_: (str(engine),))
    return Queue(folder, model, Ledger())


def log(record: JobRecord) -> str:
    return Path(record.run_folder / "train.log").read_text()


def test_a_job_begins_when_the_chain_is_done(queue: Queue) -> None:
    """The queue runs the job after the second link: it finds that the chain goes on, and waits for the third."""
    chain = queue.submit("chain", "75 10 wait", "75 20", "0 30", links=None)
    after = queue.submit("after", "0", after=chain)
    seen = queue.until(after, JobState.WAITING)
    assert seen.record.status.reason == f"for {chain.id} to end"
    queue.go()
    assert queue.until(after, *ENDED).record.status.state is JobState.DONE
    assert queue.ran == ["chain", "chain", "chain", "after"]
    assert "hpcbrew: chain continues in " in log(after)


def test_a_job_after_a_chain_that_is_not_done_never_runs_and_says_why(queue: Queue) -> None:
    queue.submit("first", "0 1 wait")
    chain = queue.submit("chain", "75 10", "75 20", links=2)
    after = queue.submit("after", "0", after=chain)
    queue.go()
    status = queue.until(after, *ENDED).record.status
    why = "chain ended without finishing (exit status 75)"
    assert (status.state, status.reason) == (JobState.NEVER_RAN, why)
    assert log(after).splitlines()[-1] == f"hpcbrew: this job will never start: {why}"
    assert queue.ran == ["first", "chain", "chain"]


def test_a_job_after_a_chain_that_is_cancelled_never_runs(queue: Queue) -> None:
    chain = queue.submit("chain", "0 10 wait", links=None)
    queue.until(chain, JobState.RUNNING)
    after = queue.submit("after", "0", after=chain)
    control.cancel(chain, queue.ledger)
    status = queue.until(after, *ENDED).record.status
    assert (status.state, status.reason) == (JobState.NEVER_RAN, "chain was cancelled")


def test_a_chain_that_broke_off_is_not_waited_for(queue: Queue) -> None:
    """Both of its jobs are deleted behind hpcbrew's back: there is no exit record, and none will come."""
    chain = queue.submit("chain", "0 10 wait", links=None)
    until(lambda: len(queue.look(chain).live) == 2)
    after = queue.submit("after", "0", after=chain)
    site = refresh.reach(chain.address)
    for job_id in reversed(queue.look(chain).live):
        site.transport.run(site.scheduler.delete_command(job_id), PurePosixPath("/"))
    status = queue.until(after, *ENDED).record.status
    assert (status.state, "without an exit record" in status.reason) == (JobState.NEVER_RAN, True)


def test_a_chain_after_a_chain_and_a_job_after_both(queue: Queue) -> None:
    queue.submit("first", "0 1 wait")
    one = queue.submit("one", "75 10", "75 20", "0 30", links=None)
    two = queue.submit("two", "75 10", "0 20", after=one, links=None)
    three = queue.submit("three", "0", after=two)
    queue.go()
    assert queue.until(three, *ENDED).record.status.state is JobState.DONE
    assert queue.ran == ["first", "one", "one", "one", "two", "two", "three"]


def test_a_job_that_waits_for_a_chain_waits_for_those_that_come_after_it_too(queue: Queue) -> None:
    """`two` is one job to its user, and several to the queue: the end of the first is not its end."""
    queue.submit("first", "0 1 wait")
    one = queue.submit("one", "75 10", "75 20", "0 30", links=None)
    two = queue.submit("two", "3", after=one)
    three = queue.submit("three", "0", after=two)
    queue.go()
    assert queue.until(three, *ENDED).record.status.state is JobState.NEVER_RAN
    assert queue.ran == ["first", "one", "one", "one", "two"]


def test_a_chain_that_ends_between_the_question_and_qsub(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = queue.submit("chain", "0 10 wait", links=None)
    queue.until(chain, JobState.RUNNING)
    asked = dependency.after(chain.token, chain.address, queue.ledger)
    queue.go()
    queue.until(chain, JobState.DONE)
    monkeypatch.setattr(dependency, "after", lambda *_: asked)
    assert queue.until(queue.submit("after", "0", after=chain), *ENDED).record.status.state is JobState.DONE


def test_a_job_that_waits_is_held_released_and_cancelled(queue: Queue) -> None:
    queue.submit("first", "0 1 wait")
    chain = queue.submit("chain", "75 10", "75 20", "0 30", links=None)
    after = queue.submit("after", "0", after=chain)
    assert control.hold(after, queue.ledger) == "held"
    queue.go()
    queue.until(chain, JobState.DONE)
    assert queue.look(after).record.status.state in (JobState.HELD, JobState.WAITING)
    assert control.release(after, queue.ledger) == "released"
    assert queue.until(after, *ENDED).record.status.state is JobState.DONE


def test_a_job_that_was_submitted_again_is_cancelled(queue: Queue) -> None:
    chain = queue.submit("chain", "75 10", "75 20", "0 30 wait", links=None)
    after = queue.submit("after", "0", after=chain)
    until(lambda: queue.look(after).live[0] != after.id)
    assert control.cancel(after, queue.ledger) == "cancelled"
    assert queue.until(after, *ENDED).record.status.state is JobState.CANCELLED
    queue.go()
    queue.until(chain, JobState.DONE)
    assert queue.ran == ["chain", "chain", "chain"]


def test_a_chain_that_is_done_is_not_waited_for(queue: Queue) -> None:
    chain = queue.submit("chain", "0", links=None)
    queue.until(chain, JobState.DONE)
    assert dependency.after(chain.token, chain.address, queue.ledger) is None


def test_a_sweep_cannot_wait_for_a_chain(model: Path) -> None:
    profile = profiles.load("local")
    asked = JobRequest(model / "solver.prototxt", after=After("1.local", "chain", "/runs/chain-1"))
    with pytest.raises(RequestError, match="--after chain: is a chain of jobs, and an array cannot wait for a chain"):
        sweep.plan(asked, profile, sweep.points(["base_lr=1,2"]), Machine(1, 0), new_token())
