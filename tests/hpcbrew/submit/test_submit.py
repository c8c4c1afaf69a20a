"""A plan carried out behind a real SSH server whose qsub and qstat are scripts."""

from pathlib import Path, PurePosixPath

import pytest
from support import sshd
from support.remote import RemoteCluster

from hpcbrew import layout
from hpcbrew.address import Address
from hpcbrew.errors import LedgerError, LoginRefused, TransportError
from hpcbrew.job import JobPlan, JobRecord, JobState, Resources, Upload
from hpcbrew.plan import once
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.submit.submit import submit
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports import process

SLEEP = "echo $$ >>~/asked; exec sleep 300"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 3)


def submit_tiny(remote: RemoteCluster, warn=print) -> JobRecord:
    """A job of its script alone."""
    folder = layout.run_folder("tiny", "abcd1234")
    script = Upload(folder / layout.SCRIPT, 0, "", content=b"#!/bin/bash\n")
    command = once.command(Pbs().submit_command(PurePosixPath(layout.SCRIPT)))
    address = Address("there", "ssh", "pbs", "cluster")
    little = Resources(1, 0, 1, None, 3600, None, None, {})
    plan = JobPlan("abcd1234", "tiny", address, "", "~/scratch", folder, "", (script,), (), command, little)
    return submit(plan, "s.prototxt", remote.transport, Pbs(), remote.ledger, lambda size: None, warn)


def test_a_qsub_that_never_answers_leaves_a_job_of_which_nobody_can_tell(remote: RemoteCluster) -> None:
    remote.script("bin/qsub", SLEEP)
    with pytest.raises(TransportError, match=r"qsub gave no answer within 3 s: .* may hang\. It is not known yet"):
        submit_tiny(remote)
    (record,) = remote.ledger.all()
    assert (record.id, record.status.state) == (None, JobState.SUBMITTING)
    (asked,) = (remote.home / "asked").read_text().split()  # once
    assert sshd.ended(asked)


def test_it_is_found_later_by_its_folder_in_the_schedulers_list(remote: RemoteCluster) -> None:
    remote.script("bin/qsub", SLEEP)
    with pytest.raises(TransportError):
        submit_tiny(remote)
    (record,) = remote.ledger.all()
    listed = f"Job Id: 7.pbs01\\n    job_state = Q\\n    Output_Path = pbs01:{record.run_folder}/scheduler.log\\n"
    remote.script("bin/qselect", "echo 7.pbs01")
    remote.script("bin/qstat", f"printf '{listed}'")
    (seen,) = refresh.look(remote.site, [record], remote.ledger)
    assert (seen.record.id, seen.record.status.state) == ("7.pbs01", JobState.QUEUED)


def test_an_interruption_while_qsub_is_at_work_says_that_there_may_be_a_job(remote: RemoteCluster, monkeypatch) -> None:
    def interrupted(command, folder, **how):
        raise KeyboardInterrupt

    monkeypatch.setattr(remote.transport, "run", interrupted)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        submit_tiny(remote, said.append)
    assert ["It is not known yet whether the scheduler has the job" in words for words in said] == [True]
    assert [record.status.state for record in remote.ledger.all()] == [JobState.SUBMITTING]


@pytest.mark.parametrize("back", [True, False])
def test_a_cut_while_the_run_folder_is_made_leaves_none_that_the_ledger_does_not_know(
    back: bool, remote: RemoteCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = remote.transport.make_folder

    def cut(folder, files):
        made(folder, files)
        if not back:
            monkeypatch.setattr(remote.transport, "remove_folder", gone)
        gone(folder)

    def gone(folder):
        raise TransportError("cluster: the connection was cut", retryable=True)

    monkeypatch.setattr(remote.transport, "make_folder", cut)
    said: list[str] = []
    with pytest.raises(TransportError, match="the connection was cut"):
        submit_tiny(remote, said.append)
    left = [path.name for path in (remote.home / "scratch" / "runs").iterdir()]
    known = [(record.run_folder.name, record.status.state) for record in remote.ledger.all()]
    assert (left, known) == (([], []) if back else (["tiny-abcd1234"], [("tiny-abcd1234", JobState.NEVER_RAN)]))
    assert [words.partition(" may be left on")[0][-13:] for words in said] == left


def test_a_login_that_is_refused_after_a_cut_is_no_refusal_of_the_job(remote: RemoteCluster, monkeypatch) -> None:
    """As where the agent with the key is gone by then."""
    remote.script("bin/qsub", "echo 12.pbs01")
    connect, once = remote.transport._connect, remote.transport._once

    def refused() -> None:
        if (remote.home / "scratch" / "runs" / "tiny-abcd1234" / "job.id").exists():
            raise LoginRefused("cluster: the login was refused")
        connect()

    def cut(script, *how):
        answer = once(script, *how)
        if "qsub" in script:
            raise TransportError("cluster: the connection was cut", retryable=True)
        return answer

    monkeypatch.setattr(remote.transport, "_connect", refused)
    monkeypatch.setattr(remote.transport, "_once", cut)
    with pytest.raises(TransportError, match=r"login was refused\. .*Do not submit it again"):
        submit_tiny(remote)
    assert [record.status.state for record in remote.ledger.all()] == [JobState.SUBMITTING]


def test_a_ledger_that_cannot_take_the_id_says_that_the_job_was_submitted(
    remote: RemoteCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Ledger, token: str, job_id: str) -> None:
        raise LedgerError("ledger.db: database or disk is full")

    remote.script("bin/qsub", "echo 12.pbs01")
    with monkeypatch.context() as full:
        full.setattr(Ledger, "accepted", fail)
        with pytest.raises(LedgerError, match=r"disk is full\. The job was submitted as 12\.pbs01"):
            submit_tiny(remote)
    remote.script("bin/qstat", "printf 'Job Id: 12.pbs01\\n    job_state = R\\n'")
    (seen,) = refresh.look(remote.site, remote.ledger.all(), remote.ledger)
    assert (seen.record.id, seen.record.status.state) == ("12.pbs01", JobState.RUNNING)


def test_a_run_folder_that_cannot_be_written_to_is_no_refusal_of_qsub(remote: RemoteCluster, monkeypatch) -> None:
    monkeypatch.setattr(once, "command", lambda qsub: ("sh", "-c", "echo no folder; ls /gone"))
    with pytest.raises(TransportError, match=r"runs/tiny-abcd1234: cannot be written to: ls: .*/gone"):
        submit_tiny(remote)
    assert remote.ledger.all() == []
    assert list((remote.home / "scratch" / "runs").iterdir()) == []


def test_a_scheduler_that_cannot_say_what_it_has_is_no_refusal(
    remote: RemoteCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpcbrew.submit.submit.PAUSES", (0,))
    remote.script("bin/qselect", "echo 'qselect: cannot connect to server' >&2; exit 255")
    monkeypatch.setattr(once, "command", lambda qsub: ("echo", once.BEGUN))
    with pytest.raises(TransportError, match=r"cannot connect to server.*Do not submit it again"):
        submit_tiny(remote)
    assert [record.status.state for record in remote.ledger.all()] == [JobState.SUBMITTING]


def test_what_a_site_without_qselect_has_is_listed_by_qstat(
    remote: RemoteCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpcbrew.submit.submit.PAUSES", (0,))
    (remote.home / "bin" / "qselect").unlink()
    remote.script("bin/qstat", "echo 'qstat: cannot connect to server' >&2; exit 255")
    monkeypatch.setattr(once, "command", lambda qsub: ("echo", once.BEGUN))
    with pytest.raises(TransportError, match=r"qstat: cannot connect to server.*Do not submit it again"):
        submit_tiny(remote)


def wrapped(remote: RemoteCluster, says: str) -> None:
    """A site's own qsub around PBS's."""
    real = remote.home / "bin" / "real-qsub"
    (remote.home / "bin" / "qsub").rename(real)
    remote.script("bin/qsub", f'id=$({real} "$@") || exit; {says}')


WRAPPERS = {
    "before and after": "echo Charged to ee; echo $id; echo 'It will start soon.'",
    "in a sentence": "echo Your job $id has been submitted.",
    "not at all": ":",
    "and fails": "echo $id; exit 1",
    "and is killed": "kill $$",
}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_job_is_known_whatever_a_sites_qsub_makes_of_its_id(remote: RemoteCluster, model: Path, kind: str) -> None:
    remote.engine("sleep 60")
    wrapped(remote, WRAPPERS[kind])
    record = remote.submit(model)
    assert (record.id, [r.id for r in remote.ledger.all()]) == ("1.pbs01", ["1.pbs01"])
    assert Path(record.run_folder, "job.pbs").exists()


def test_where_the_list_has_no_such_job_either_nobody_can_tell(remote: RemoteCluster) -> None:
    remote.script("bin/qsub", "echo 'Your job will be looked at by the operators.'")
    with pytest.raises(
        TransportError, match=r"status 0 and printed no job id \(Your job will be .*It is not known yet"
    ):
        submit_tiny(remote)
    assert [record.status.state for record in remote.ledger.all()] == [JobState.SUBMITTING]
