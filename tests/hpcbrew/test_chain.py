"""Chains: the script as submitted, in the queue on this machine, around an engine that does as its test says."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from hpcbrew import change, cluster, dependency, limits, plan, prepare, watch
from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobRecord, JobRequest, JobState
from hpcbrew.ledger import Ledger
from hpcbrew.machine import Machine
from hpcbrew.manifest import collect
from hpcbrew.submit import submit
from hpcbrew.watch import Watched

# Each run takes a line of `runs`: an exit status and the snapshot that it leaves; it notes how it was called.
ENGINE = """#!/bin/bash
cd "{folder}"
read -r status iteration <runs
sed -i 1d runs
printf '%s\\n' "$*" >>calls
[[ -z $iteration ]] || touch "$OLDPWD/snapshots/tiny_iter_$iteration.solverstate"
[[ $status != killed ]] || kill -9 $PPID
[[ $status != sleep ]] || sleep 600
exit "$status"
"""


@dataclass
class Chains:
    """Submits a chain of the model to the queue here; `runs` says how each run of the engine ends."""

    folder: Path
    model: Path
    ledger: Ledger

    def submit(self, *runs: str, **request: object) -> JobRecord:
        (self.folder / "runs").write_text("".join(f"{run}\n" for run in runs))
        profile = cluster.load("local")
        asked = JobRequest(self.model / "solver.prototxt", **request)  # type: ignore[arg-type]
        made = prepare.plan(asked, profile, collect(asked), limits.settle(asked, profile, Machine(1, 0)))
        site = watch.reach(made.address)
        return submit(made, "solver.prototxt", site.transport, site.scheduler, self.ledger, lambda size: None)

    def look(self, record: JobRecord) -> Watched:
        return watch.look(watch.reach(record.address), [record], self.ledger)[0]

    def until(self, record: JobRecord, *states: JobState) -> Watched:
        end = time.monotonic() + 120
        while (seen := self.look(record)).record.standing.state not in states and time.monotonic() < end:
            time.sleep(0.1)
        return seen

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def chains(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Chains:
    folder = tmp_path / "engine"
    folder.mkdir()
    engine = folder / "caffe"
    engine.write_text(ENGINE.format(folder=folder))
    engine.chmod(0o755)
    monkeypatch.setattr(plan, "_engine", lambda *_: [str(engine)])
    return Chains(folder, model, Ledger())


ENDED = (JobState.DONE, JobState.FAILED, JobState.OUT_OF_WALLTIME, JobState.CANCELLED, JobState.LOST)


def test_each_link_goes_on_from_the_last_snapshot_until_one_has_finished(chains: Chains) -> None:
    record = chains.submit("75 10", "75 20", "0 30", links=None)
    seen = chains.until(record, *ENDED)
    assert seen.record.standing.state is JobState.DONE
    assert chains.calls == [
        "train -solver solver.prototxt",
        "train -solver solver.prototxt -snapshot auto",
        "train -solver solver.prototxt -snapshot auto",
    ]
    log = (Path(record.run_folder) / "links.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in log] == [
        "75 tiny_iter_10.solverstate", "75 tiny_iter_20.solverstate", "0 tiny_iter_30.solverstate"
    ]  # fmt: skip


def test_a_chain_of_two_stops_after_two(chains: Chains) -> None:
    seen = chains.until(chains.submit("75 10", "75 20", "0 30", links=2), *ENDED)
    assert seen.record.standing.state is JobState.OUT_OF_WALLTIME
    assert "hpcbrew resume" in seen.record.standing.reason
    assert len(chains.calls) == 2


@pytest.mark.parametrize("end", ["3", "killed"])
def test_a_link_that_fails_twice_at_the_same_place_stops_the_chain(chains: Chains, end: str) -> None:
    seen = chains.until(chains.submit("75 10", end, end, "0 30", links=None), *ENDED)
    assert seen.record.standing.state is JobState.FAILED
    assert len(chains.calls) == 3


def test_a_failure_that_does_not_come_again_is_got_over(chains: Chains) -> None:
    seen = chains.until(chains.submit("3 10", "3 20", "0 30", links=None), *ENDED)
    assert seen.record.standing.state is JobState.DONE


def test_a_cancelled_chain_starts_no_further_link(chains: Chains) -> None:
    record = chains.submit("sleep", "0", links=None)
    chains.until(record, JobState.RUNNING)
    while not (chains.folder / "calls").exists():
        time.sleep(0.1)
    seen = chains.look(record)
    assert (len(seen.live), seen.record.standing.reason) == (2, "link 1 of 2")
    assert change.cancel(record, chains.ledger) == "cancelled"
    assert chains.until(record, *ENDED).record.standing.state is JobState.CANCELLED
    assert len(chains.calls) == 1


def test_a_job_after_another_waits_for_it(chains: Chains) -> None:
    first = chains.submit("sleep")
    after = dependency.after(first.token, first.address, chains.ledger)
    assert after == After(first.id or "", "tiny")
    second = chains.submit("sleep", after=after, name="second")
    seen = chains.until(second, JobState.WAITING)
    assert seen.record.standing.reason == f"for {first.id} to end well"
    change.cancel(first, chains.ledger)
    assert chains.until(second, JobState.NEVER_RAN).record.standing.state is JobState.NEVER_RAN
    chains.until(first, JobState.CANCELLED)
    with pytest.raises(RequestError, match="ended and is not done"):
        dependency.after(first.token, first.address, chains.ledger)
