"""What becomes of a job, as hpcbrew tells it: by the text form of qstat, over a real SSH connection."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support.remote import RemoteCluster

from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobRecord, JobState
from hpcbrew.submit import dependency
from hpcbrew.track import control, refresh

RUNS = "touch started; for i in $(seq 600); do sleep 0.1; [[ ! -e go ]] || exit 0; done"


def started(remote: RemoteCluster, record: JobRecord) -> None:
    """Until its engine is at work, as no scheduler can tell."""
    while not (Path(record.run_folder) / "started").exists():
        remote.look(record)


def test_a_job_is_queued_held_released_runs_and_is_done(named: RemoteCluster, model: Path) -> None:
    named.engine(RUNS)
    named.pbs.configure(ncpus=4)
    first, second = named.submit(model, name="first"), named.submit(model, name="second")
    named.until(JobState.RUNNING, record=first)
    queued = named.look(second).record.status
    assert (queued.state, queued.reason) == (JobState.QUEUED, "waits for cores: it requests 4, and 0 of 4 are free")

    assert control.hold(second, named.ledger) == "held"
    held = named.look(second).record.status
    assert held.state is JobState.HELD
    assert held.reason.startswith("held by ")
    with pytest.raises(RequestError, match="only a queued job can be held"):
        control.hold(first, named.ledger)

    started(named, first)
    (Path(first.run_folder) / "go").touch()
    named.until(JobState.DONE, record=first)
    assert named.look(second).record.status.state is JobState.HELD
    assert control.release(second, named.ledger) == "released"
    named.until(JobState.RUNNING, record=second)
    (Path(second.run_folder) / "go").touch()
    named.until(JobState.DONE, record=second)


@pytest.mark.parametrize("when", ["queued", "held", "running"])
def test_a_job_is_cancelled(named: RemoteCluster, model: Path, when: str) -> None:
    named.engine(RUNS)
    named.pbs.configure(ncpus=8 if when == "running" else 1)
    record = named.submit(model)
    if when == "running":
        named.until(JobState.RUNNING)
        started(named, record)
    elif when == "held":
        control.hold(record, named.ledger)
    assert control.cancel(record, named.ledger).startswith(("cancelled", "is ending"))  # it waits for seconds only
    ended = named.until(JobState.CANCELLED).record
    assert control.cancel(ended, named.ledger) == "has ended already: cancelled"


@pytest.mark.parametrize(
    ("body", "reason", "exit_status"),
    [
        ("exit 3", "exit status 3", 3),
        ("kill -9 $$", "killed by SIGKILL; running out of memory is the usual cause", 137),
        ("kill -9 $PPID", "killed by SIGKILL; running out of memory is the usual cause", 137),
        ("no_such_command", "exit status 127: a command was not found", 127),
    ],
)
def test_a_job_fails(remote: RemoteCluster, model: Path, body: str, reason: str, exit_status: int) -> None:
    remote.engine(body)
    remote.submit(model)
    status = remote.until(JobState.FAILED).record.status
    assert (status.reason, status.exit_status) == (reason, exit_status)


def test_a_job_that_ignores_its_deadline_is_killed_at_its_walltime(remote: RemoteCluster, model: Path) -> None:
    remote.engine("trap '' TERM; sleep 60; sleep 60")
    record = remote.submit(model, walltime=1)
    status = remote.until(JobState.OUT_OF_WALLTIME).record.status
    assert status.reason == "ran longer than its walltime"
    said = remote.transport.read(record.run_folder / "scheduler.log") or b""
    assert b"=>> PBS: job killed: walltime 2 exceeded limit 1" in said


def test_a_job_waits_for_another_and_never_runs_where_that_fails(named: RemoteCluster, model: Path) -> None:
    named.engine(f"{RUNS}; exit 3".replace("exit 0", "exit 3"))
    first = named.submit(model, name="first")
    after = dependency.after(first.token, first.address, named.ledger)
    assert after == After(first.id or "", "first")
    second = named.submit(model, name="second", after=after)
    waiting = named.look(second).record.status
    assert (waiting.state, waiting.reason) == (JobState.WAITING, f"for {first.id} to succeed")
    started(named, first)
    (Path(first.run_folder) / "go").touch()
    never = named.until(JobState.NEVER_RAN, record=second).record.status
    assert never.reason == f"what it waited for never happened: {first.id} to succeed"


def test_a_job_that_the_scheduler_has_forgotten_is_known_by_its_exit_record(remote: RemoteCluster, model: Path) -> None:
    remote.engine("[[ $PWD == */well-* ]] || exit 3")
    well, badly, gone = (remote.submit(model, name=name) for name in ("well", "badly", "gone"))
    for record in (well, badly, gone):
        while not (Path(record.run_folder) / "exit.json").exists():
            remote.pbs.run("qstat")
    while remote.pbs.run("qstat").stdout:
        pass
    (Path(gone.run_folder) / "exit.json").unlink()
    remote.pbs.run("qdel", "-x", *(str(record.id) for record in (well, badly, gone)))
    states = [remote.look(record).record.status for record in (well, badly, gone)]
    assert [s.state for s in states] == [JobState.DONE, JobState.FAILED, JobState.LOST]
    assert states[1].exit_status == 3


def test_jobs_are_followed_where_the_site_keeps_no_history(named: RemoteCluster, model: Path) -> None:
    named.pbs.configure(history=False)
    named.engine(RUNS)
    first, second = named.submit(model, name="first"), named.submit(model, name="second")
    for record in (first, second):
        named.until(JobState.RUNNING, record=record)
        started(named, record)
    (Path(first.run_folder) / "go").touch()
    named.until(JobState.DONE, record=first)
    control.cancel(second, named.ledger)
    named.until(JobState.CANCELLED, record=named.ledger.find("second"))


def test_one_unknown_job_hides_none_of_the_others(remote: RemoteCluster, model: Path) -> None:
    remote.engine(RUNS)
    gone, here = remote.submit(model, name="gone"), remote.submit(model, name="here")
    remote.pbs.run("qdel", str(gone.id))
    while gone.id in remote.pbs.run("qstat").stdout:
        pass
    remote.pbs.run("qdel", "-x", str(gone.id))
    seen = refresh.look(remote.site, [gone, here], remote.ledger)
    assert [w.record.status.state for w in seen][1] is JobState.RUNNING
    assert [w.trouble for w in seen] == ["", ""]


def test_several_jobs_are_held_released_and_cancelled_over_one_connection(
    named: RemoteCluster, model: Path, hpcbrew: Callable[..., CompletedProcess[str]]
) -> None:
    """Where the site asks for a second factor, it is asked for once."""
    named.pbs.configure(ncpus=0)
    names = [named.submit(model, name=name).name for name in ("first", "second", "third")]
    log = named.ssh.parent / "sshd" / "sshd.log"
    for command, outcome in (("hold", "held"), ("release", "released"), ("cancel", "cancelled")):
        before = log.read_text().count("Accepted publickey")
        done = hpcbrew(command, *names)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(f": {outcome}\n") == 3
        assert log.read_text().count("Accepted publickey") == before + 1
