import time
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.errors import LedgerError, RequestError, TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import removal
from hpcbrew.track.ledger import Ledger

LOCAL = Address("local", "local", "local")


def ended(runs: Path, token: str, state: JobState = JobState.DONE, script: str = "") -> JobRecord:
    """A job of this machine's queue, which knows nothing of it."""
    folder = runs / "runs" / f"lenet-{token}"
    (folder / "snapshots").mkdir(parents=True)
    (folder / "job.pbs").write_text(script)
    (folder / "snapshots" / "a.caffemodel").write_bytes(bytes(1000))
    record = JobRecord(token, "lenet", LOCAL, "/s", time.time(), PurePosixPath(folder), JobStatus(state), "7.local")
    Ledger().intend(record)
    return record


def test_the_run_folder_and_the_row_go(tmp_path: Path) -> None:
    record, other = ended(tmp_path, "0000000a", script="echo"), ended(tmp_path, "0000000b")
    found = removal.look(record, Ledger(), {})
    assert (found.files, found.size) == (2, 1004)
    removal.remove(found, Ledger())
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["lenet-0000000b"]
    assert Ledger().all() == [other]
    with pytest.raises(LedgerError):
        Ledger().find("0000000a")


def test_a_job_whose_folder_has_gone_is_taken_off_the_list(tmp_path: Path) -> None:
    record = ended(tmp_path, "0000000a")
    removal.remove(removal.look(record, Ledger(), {}), Ledger())
    Ledger().intend(record)
    assert removal.look(record, Ledger(), {}).files == 0
    removal.remove(removal.look(record, Ledger(), {}), Ledger())
    assert Ledger().all() == []


def test_what_has_not_ended_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = ended(tmp_path, "0000000a", JobState.RUNNING)
    monkeypatch.setattr(removal.refresh, "look", lambda site, records, ledger: [type("T", (), {"record": records[0]})])
    with pytest.raises(RequestError, match="is running, and only an ended job can be removed: hpcbrew cancel 0000000a"):
        removal.look(record, Ledger(), {})
    Ledger().forget("0000000a")
    assert Ledger().all() == [record]


def test_a_folder_that_a_job_goes_on_from_stays(tmp_path: Path) -> None:
    record = ended(tmp_path, "0000000a")
    ended(tmp_path, "0000000b", JobState.QUEUED, "caffe train -snapshot ../lenet-0000000a/snapshots/a.solverstate")
    with pytest.raises(RequestError, match=r"^lenet \(7\.local\) has not ended and needs its snapshots"):
        removal.look(record, Ledger(), {})


def test_a_folder_that_is_none_of_a_job_stays(tmp_path: Path) -> None:
    record = ended(tmp_path, "0000000a")
    for folder in (tmp_path, tmp_path / "runs", tmp_path / "runs" / "lenet-0000000b"):
        odd = JobRecord("0000000a", "lenet", LOCAL, "/s", 0, PurePosixPath(folder), record.status, "7.local")
        with pytest.raises(RequestError, match="does not have the name of its run folder"):
            removal.look(odd, Ledger(), {})


def test_what_cannot_be_taken_away_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = ended(tmp_path, "0000000a")
    found = removal.look(record, Ledger(), {})

    def refused(folder: PurePosixPath) -> None:
        raise TransportError("no")

    monkeypatch.setattr(found.site.transport, "remove_folder", refused)
    with pytest.raises(TransportError):
        removal.remove(found, Ledger())
    assert Ledger().all() == [record]
