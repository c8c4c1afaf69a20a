"""Chains: the script as submitted, around an engine that does as its test says."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.remote import RemoteCluster
from support.until import until

from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobRecord, JobState
from hpcbrew.submit import dependency
from hpcbrew.track import control

# Each run takes a line of `runs`: an exit status and the snapshot that it leaves; it notes how it was called.
ENGINE = """
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
    """Submits chains of the model; `runs` says how each run of the engine ends."""

    remote: RemoteCluster
    folder: Path
    model: Path

    def submit(self, *runs: str, **request: object) -> JobRecord:
        (self.folder / "runs").write_text("".join(f"{run}\n" for run in runs))
        return self.remote.submit(self.model, **request)

    def ended(self, record: JobRecord) -> JobRecord:
        states = (JobState.DONE, JobState.FAILED, JobState.OUT_OF_WALLTIME, JobState.CANCELLED, JobState.LOST)
        return self.remote.until(*states, record=record).record

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def chains(named: RemoteCluster, tmp_path: Path, model: Path) -> Chains:
    folder = tmp_path / "engine"
    folder.mkdir()
    named.engine(ENGINE.format(folder=folder))
    return Chains(named, folder, model)


FIRST, AGAIN = "train -solver solver.prototxt", "train -solver solver.prototxt -snapshot auto"


def test_each_link_goes_on_from_the_last_snapshot_until_one_has_finished(chains: Chains) -> None:
    record = chains.submit("75 10", "75 20", "0 30", links=None)
    assert chains.ended(record).status.state is JobState.DONE
    assert chains.calls == [FIRST, AGAIN, AGAIN]
    log = (Path(record.run_folder) / "links.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in log] == [
        "75 tiny_iter_10.solverstate", "75 tiny_iter_20.solverstate", "0 tiny_iter_30.solverstate"
    ]  # fmt: skip


def test_a_chain_of_two_stops_after_two(chains: Chains) -> None:
    record = chains.ended(chains.submit("75 10", "75 20", "0 30", links=2))
    assert record.status.state is JobState.OUT_OF_WALLTIME
    assert "hpcbrew resume" in record.status.reason
    assert len(chains.calls) == 2


@pytest.mark.parametrize("end", ["3", "killed"])
def test_a_link_that_fails_twice_at_the_same_place_stops_the_chain(chains: Chains, end: str) -> None:
    record = chains.ended(chains.submit("75 10", end, end, "0 30", links=None))
    assert record.status.state is JobState.FAILED
    assert len(chains.calls) == 3


def test_a_failure_that_does_not_come_again_is_got_over(chains: Chains) -> None:
    record = chains.submit("3 10", "3 20", "0 30", links=None)
    assert chains.ended(record).status.state is JobState.DONE


def test_a_chain_that_has_ended_leaves_no_job_behind(chains: Chains) -> None:
    chains.ended(chains.submit("75 10", "0 20", links=None))
    until(lambda: not chains.remote.pbs.run("qstat").stdout)
    assert len(chains.calls) == 2


def test_noise_on_qsub_s_output_breaks_no_chain(chains: Chains) -> None:
    chains.remote.pbs.configure(noise={"qsub": "Checking your budget ...\n"})
    record = chains.submit("75 10", "0 20", links=None)
    assert record.id == "1.pbs01"
    assert chains.ended(record).status.state is JobState.DONE
    until(lambda: not chains.remote.pbs.run("qstat").stdout)
    assert chains.remote.pbs.shown("3")["substate"] == "91"  # the link that was no longer needed was deleted


def test_a_cancelled_chain_starts_no_further_link(chains: Chains) -> None:
    record = chains.submit("sleep", "0", links=None)
    chains.remote.until(JobState.RUNNING, record=record)
    until(lambda: chains.calls)
    seen = chains.remote.look(record)
    assert (len(seen.live), seen.record.status.reason) == (2, "link 1 of 2 so far")
    assert control.cancel(record, chains.remote.ledger) == "cancelled"
    assert chains.ended(chains.remote.ledger.find(record.token)).status.state is JobState.CANCELLED
    assert len(chains.calls) == 1


def test_a_job_after_another_waits_for_it(chains: Chains) -> None:
    remote = chains.remote
    first = chains.submit("sleep")
    after = dependency.after(first.token, first.address, remote.ledger)
    assert after == After(first.id or "", "tiny")
    second = chains.submit("sleep", after=after, name="second")
    seen = remote.until(JobState.WAITING, record=second)
    assert seen.record.status.reason == f"for {first.id} to succeed"
    control.cancel(first, remote.ledger)
    remote.until(JobState.NEVER_RAN, record=second)
    remote.until(JobState.CANCELLED, record=remote.ledger.find(first.token))
    with pytest.raises(RequestError, match="ended without being done"):
        dependency.after(first.token, first.address, remote.ledger)
