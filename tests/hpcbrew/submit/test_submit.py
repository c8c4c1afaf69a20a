"""A plan carried out behind a real SSH server whose qsub and qstat are scripts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from support import sshd

from hpcbrew import layout
from hpcbrew.address import Address
from hpcbrew.errors import LedgerError, LoginRefused, TransportError
from hpcbrew.job import JobPlan, JobRecord, JobState, Upload
from hpcbrew.plan import once
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.submit.submit import submit
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site
from hpcbrew.transports import process
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended

SLEEP = "echo $$ >>~/asked; exec sleep 300"


@dataclass(frozen=True)
class There:
    home: Path
    site: Site
    ledger: Ledger

    def script(self, name: str, text: str) -> None:
        (self.home / name).write_text(f"#!/bin/bash\n{text}\n")
        (self.home / name).chmod(0o755)

    def submit(self, warn=print) -> JobRecord:
        folder = layout.run_folder("tiny", "abcd1234")
        script = Upload(folder / layout.SCRIPT, 0, "", content=b"#!/bin/bash\n")
        command = once.command(Pbs().submit_command(PurePosixPath(layout.SCRIPT)))
        address = Address("there", "ssh", "pbs", "cluster")
        plan = JobPlan("abcd1234", "tiny", address, "", "~/scratch", folder, "", (script,), (), command)
        return submit(
            plan, "s.prototxt", self.site.transport, self.site.scheduler, self.ledger, lambda size: None, warn
        )


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[There]:
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 3)
    (tmp_path / "sshd").mkdir()
    home = tmp_path / "there"
    home.mkdir()
    (home / ".bash_profile").write_text(f"export PATH={home}:/usr/bin:/bin\n")
    with sshd.serve(tmp_path / "sshd", f'ForceCommand HOME={home} bash -c "$SSH_ORIGINAL_COMMAND"') as server:
        transport = Ssh("cluster", Unattended(), server.resolve)
        transport.run(["true"], PurePosixPath("/"))
        yield There(home, Site(transport, Pbs()), Ledger(tmp_path / "ledger.db"))
        transport.close()


def test_a_qsub_that_never_answers_leaves_a_job_of_which_nobody_can_tell(there: There) -> None:
    there.script("qsub", SLEEP)
    with pytest.raises(TransportError, match=r"qsub gave no answer within 3 s: .* may hang\. Nobody can tell yet"):
        there.submit()
    (record,) = there.ledger.all()
    assert (record.id, record.status.state) == (None, JobState.SUBMITTING)
    (asked,) = (there.home / "asked").read_text().split()  # once
    assert sshd.ended(asked)


def test_it_is_found_later_by_its_folder_in_the_schedulers_list(there: There) -> None:
    there.script("qsub", SLEEP)
    with pytest.raises(TransportError):
        there.submit()
    (record,) = there.ledger.all()
    listed = f"Job Id: 7.pbs01\\n    job_state = Q\\n    Output_Path = pbs01:{record.run_folder}/scheduler.log\\n"
    there.script("qstat", f"printf '{listed}'")
    (seen,) = refresh.look(there.site, [record], there.ledger)
    assert (seen.record.id, seen.record.status.state) == ("7.pbs01", JobState.QUEUED)


def test_an_interruption_while_qsub_is_at_work_says_that_there_may_be_a_job(there: There, monkeypatch) -> None:
    def interrupted(command, folder, **how):
        raise KeyboardInterrupt

    monkeypatch.setattr(there.site.transport, "run", interrupted)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        there.submit(said.append)
    assert ["Nobody can tell yet whether the scheduler has the job" in words for words in said] == [True]
    assert [record.status.state for record in there.ledger.all()] == [JobState.SUBMITTING]


def test_a_login_that_is_refused_after_a_cut_is_no_refusal_of_the_job(there: There, monkeypatch) -> None:
    """As where the agent with the key is gone by then."""
    there.script("qsub", "echo 12.pbs01")
    connect, once = there.site.transport._connect, there.site.transport._once

    def refused() -> None:
        if (there.home / "scratch" / "runs" / "tiny-abcd1234" / "job.id").exists():
            raise LoginRefused("cluster: the login was refused")
        connect()

    def cut(script, *how):
        answer = once(script, *how)
        if "qsub" in script:
            raise TransportError("cluster: the connection was cut", retryable=True)
        return answer

    monkeypatch.setattr(there.site.transport, "_connect", refused)
    monkeypatch.setattr(there.site.transport, "_once", cut)
    with pytest.raises(TransportError, match=r"login was refused\. .*Do not submit it again"):
        there.submit()
    assert [record.status.state for record in there.ledger.all()] == [JobState.SUBMITTING]


def test_a_ledger_that_cannot_take_the_id_says_that_the_job_was_submitted(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Ledger, token: str, job_id: str) -> None:
        raise LedgerError("ledger.db: database or disk is full")

    there.script("qsub", "echo 12.pbs01")
    with monkeypatch.context() as full:
        full.setattr(Ledger, "accepted", fail)
        with pytest.raises(LedgerError, match=r"disk is full\. The job was submitted as 12\.pbs01"):
            there.submit()
    there.script("qstat", "printf 'Job Id: 12.pbs01\\n    job_state = R\\n'")
    (seen,) = refresh.look(there.site, there.ledger.all(), there.ledger)
    assert (seen.record.id, seen.record.status.state) == ("12.pbs01", JobState.RUNNING)


def test_a_run_folder_that_cannot_be_written_to_is_no_refusal_of_qsub(there: There, monkeypatch) -> None:
    monkeypatch.setattr(once, "command", lambda qsub: ("sh", "-c", "echo no folder; ls /gone"))
    with pytest.raises(TransportError, match=r"runs/tiny-abcd1234: cannot be written to: ls: .*/gone"):
        there.submit()
    assert there.ledger.all() == []
    assert list((there.home / "scratch" / "runs").iterdir()) == []


def test_a_scheduler_that_cannot_say_what_it_has_is_no_refusal(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpcbrew.submit.submit.PAUSES", (0,))
    there.script("qstat", "echo 'qstat: cannot connect to server' >&2; exit 255")
    monkeypatch.setattr(once, "command", lambda qsub: ("echo", once.BEGUN))
    with pytest.raises(TransportError, match=r"cannot connect to server.*Do not submit it again"):
        there.submit()
    assert [record.status.state for record in there.ledger.all()] == [JobState.SUBMITTING]
