import contextlib
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.errors import LedgerError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track.ledger import Ledger

LOCAL = Address("local", "local", "local")
SUBMITTING = JobStatus(JobState.SUBMITTING, "not yet confirmed")


def record(token: str, name: str = "lenet", submitted: float = 1.0) -> JobRecord:
    return JobRecord(token, name, LOCAL, "s.prototxt", submitted, PurePosixPath("/r"), SUBMITTING)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def test_a_job_is_there_before_the_scheduler_has_named_it(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    assert ledger.live() == [record("a")]


def test_an_accepted_job_is_queued(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    ledger.accepted("a", "1.srv")
    assert ledger.live() == [replace(record("a"), id="1.srv", status=JobStatus(JobState.QUEUED))]


def test_a_withdrawn_job_leaves_no_trace(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    ledger.withdraw("a")
    assert ledger.all() == []


def test_a_job_that_the_scheduler_has_is_not_withdrawn(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    ledger.accepted("a", "1.srv")
    ledger.withdraw("a")
    assert [r.token for r in ledger.all()] == ["a"]


def test_an_ended_job_stays_ended(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    ledger.settle("a", JobStatus(JobState.DONE, "", 0))
    ledger.settle("a", JobStatus(JobState.RUNNING))
    assert ledger.all()[0].status == JobStatus(JobState.DONE, "", 0)
    assert ledger.live() == []


def test_a_lost_job_may_be_found(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    ledger.settle("a", JobStatus(JobState.LOST))
    ledger.settle("a", JobStatus(JobState.DONE, "", 0))
    assert ledger.all()[0].status.state is JobState.DONE


@pytest.mark.parametrize("asked", ["13[2]", "13[2].srv", "lenet[2]", "a[2]"])
def test_one_job_of_an_array_is_found(ledger: Ledger, asked: str) -> None:
    ledger.intend(record("a"))
    ledger.accepted("a", "13[].srv")
    found = ledger.find(asked)
    assert (found.id, found.token, found.run_folder) == ("13[2].srv", "a[2]", PurePosixPath("/r/points/2"))
    assert ledger.find(found.token) == found


def test_a_job_that_is_no_array_has_none_in_it(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    ledger.accepted("a", "13.srv")
    with pytest.raises(LedgerError, match=r"lenet \(13\.srv\) is a single job, not an array"):
        ledger.find("lenet[2]")


def test_jobs_are_found_by_id_number_name_and_token(ledger: Ledger) -> None:
    for token, submitted in (("a", 1.0), ("b", 2.0)):
        ledger.intend(record(token, submitted=submitted))
        ledger.accepted(token, f"1{token}".replace("a", "1").replace("b", "2") + ".srv")
    assert ledger.find("11.srv").token == ledger.find("11").token == ledger.find("a").token == "a"
    assert ledger.find("lenet").token == "b"


def test_a_number_that_two_clusters_gave_is_not_guessed(ledger: Ledger) -> None:
    for token in "ab":
        ledger.intend(record(token))
        ledger.accepted(token, f"1.{token}")
    with pytest.raises(LedgerError, match=r"several such jobs.*1\.a \(local, token a\), 1\.b"):
        ledger.find("1")


@pytest.mark.parametrize("job", ["nope", "%", "1_", ""])
def test_a_job_that_is_not_there(ledger: Ledger, job: str) -> None:
    ledger.intend(record("a"))
    ledger.accepted("a", "11.srv")
    with pytest.raises(LedgerError, match="no job"):
        ledger.find(job)


def test_two_processes_write_at_once(ledger: Ledger) -> None:
    code = (
        "import sys; from pathlib import Path, PurePosixPath; from hpcbrew.address import Address\n"
        "from hpcbrew.job import *; from hpcbrew.track.ledger import Ledger\n"
        "for i in range(20):\n"
        "    Ledger(Path(sys.argv[1])).intend(JobRecord(f'{sys.argv[2]}{i}', 'n', Address('local', 'local', 'local'),\n"
        "        's', 0.0, PurePosixPath('/r'), JobStatus(JobState.SUBMITTING)))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(ledger.path), name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(ledger.all()) == 40


def test_a_damaged_ledger_is_an_error_that_names_the_file(ledger: Ledger) -> None:
    ledger.path.write_text("this is no database, though it is long enough to be taken for one " * 20)
    with pytest.raises(LedgerError, match=str(ledger.path)):
        ledger.all()


def test_a_ledger_of_a_newer_hpcbrew_is_left_alone(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    with sqlite3.connect(ledger.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match="newer hpcbrew"):
        ledger.all()


def test_changes_made_together_are_all_there_or_none(ledger: Ledger) -> None:
    for token in ("a", "b"):
        ledger.intend(record(token))
    with ledger.together():
        ledger.settle("a", JobStatus(JobState.RUNNING))
        ledger.accepted("b", "2.srv")

    def interrupted() -> None:
        with ledger.together():
            ledger.settle("a", JobStatus(JobState.DONE, "", 0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(r.id, r.status.state) for r in ledger.all()] == [(None, JobState.RUNNING), ("2.srv", JobState.QUEUED)]


def spoil(ledger: Ledger, column: str, value: object, token: str = "a") -> None:
    with contextlib.closing(sqlite3.connect(ledger.path)) as db, db:
        db.execute(f"UPDATE jobs SET {column} = ? WHERE token = ?", (value, token))


ADDRESS = '{"cluster": "c", "transport": "ssh", "scheduler": "pbs", "host": %s}'


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state", "flying"), ("state", 5), ("state", b"\xff"), ("name", "../../x"), ("name", "a\n#"),
        ("name", b"\xff\xfe"),
        ("address", "{"), ("address", "[]"), ("address", "{}"), ("address", "[" * 99_999), ("address", 5.5),
        ("address", ADDRESS % "null"), ("address", ADDRESS % '"-oProxyCommand=id"'), ("address", ADDRESS % '"a b"'),
        ("address", ADDRESS.replace("ssh", "carrier pigeon") % '"h"'), ("submitted", "yesterday"), ("submitted", 1e300),
        ("id", "1; id"), ("id", b"1"), ("run_folder", "relative"), ("run_folder", "/a\0b"), ("exit_status", "x"),
        ("exit_status", 1.5), ("cancel_asked", 7), ("cancel_asked", "x"),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_row_that_is_none_hides_no_other_job(ledger: Ledger, column: str, value: object) -> None:
    for token in ("a", "b"):
        ledger.intend(record(token))
    spoil(ledger, column, value)
    if column == "id" and value == b"1":  # SQLite gives it back as it is
        assert [r.token for r in ledger.all()] == ["a", "b"]
        return
    assert [r.token for r in ledger.all()] == ["b"]
    assert ledger.faults.keys() == {"a"}
    assert ledger.faults["a"].isprintable()
    assert ledger.tokens() == {"a", "b"}
    with pytest.raises(LedgerError, match=r"the entry of job a is damaged"):
        Ledger(ledger.path).find("a")


def test_names_that_are_no_utf8_come_back_as_they_were(ledger: Ledger) -> None:
    odd = replace(record("a"), solver="/m/caf\udce9.prototxt", run_folder=PurePosixPath("/caf\udce9/é"))
    ledger.intend(odd)
    assert ledger.all() == [odd]
    for job in ("\udce9", "\ud800", "a\udce9[1]"):
        with pytest.raises(LedgerError, match="no job"):
            ledger.find(job)


def test_what_a_cluster_says_of_a_job_can_be_written_down(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    ledger.settle("a", JobStatus(JobState.FAILED, "\ud800\0" + "x" * 5000, 10**30))
    status = ledger.all()[0].status
    assert (status.reason[:6], len(status.reason), status.exit_status) == (r"\ud800", 1000, None)


def test_nobody_else_may_read_the_ledger(home: Path) -> None:
    def modes() -> list[str]:
        return [oct(path.stat().st_mode & 0o777) for path in (Ledger().path, Ledger().path.parent)]

    Ledger().intend(record("a"))
    assert modes() == ["0o600", "0o700"]
    Ledger().path.chmod(0o644)  # as older versions left them
    Ledger().path.parent.chmod(0o755)
    Ledger().intend(record("b"))
    assert modes() == ["0o600", "0o700"]


def test_a_ledger_of_the_first_version_learns_what_comes_of_jobs(ledger: Ledger) -> None:
    ledger.intend(record("a"))
    with contextlib.closing(sqlite3.connect(ledger.path)) as db:
        db.executescript("ALTER TABLE jobs DROP COLUMN outcome; PRAGMA user_version = 1")
    ledger.settle("a", JobStatus(JobState.DONE, "", 0), "{}")
    assert (ledger.all()[0].status.state, ledger.outcomes()) == (JobState.DONE, {"a": "{}"})


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        (b"SQLite format 3", b"SQLite format 9"),
        (b"run_folder TEXT", b"run_f\xff\xc4er TEXT"),
        (b"outcome TEXT", b"outcame TEXT"),
    ],
    ids=["no database", "bytes that are no text", "another column"],
)
def test_what_to_do_about_a_damaged_ledger_is_said(ledger: Ledger, part: bytes, damage: bytes) -> None:
    ledger.intend(record("a"))
    ledger.path.write_bytes(ledger.path.read_bytes().replace(part, damage))
    with pytest.raises(LedgerError, match="damaged: move it away, and hpcbrew adopt"):
        (ledger.all(), ledger.outcomes())


def test_a_job_that_was_taken_up_meanwhile_stays_as_it_is(ledger: Ledger) -> None:
    ledger.take_up(replace(record("a"), id="1.pbs01"))
    ledger.take_up(record("a"))
    assert [job.id for job in ledger.all()] == ["1.pbs01"]
    with pytest.raises(LedgerError):
        ledger.intend(record("a"))
