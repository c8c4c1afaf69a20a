from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.transfer import download as fetching
from hpcbrew.transports.local import Local

LARGE = bytes(range(256)) * 80_000


class Counted(Local):
    """Counts the bytes read, and breaks off after `left` of them."""

    got, left = 0, 10**9

    def read(self, path, start=0, size=None):
        if self.got > self.left:
            raise TransportError("cut", retryable=True)
        data = super().read(path, start, size)
        self.got += len(data or b"")
        return data


@pytest.fixture
def record(tmp_path: Path) -> JobRecord:
    run = tmp_path / "run"
    (run / "snapshots").mkdir(parents=True)
    (run / "other").mkdir()
    (run / "train.log").write_text("one\n")
    (run / "other" / "file").write_text("not ours")
    (run / "snapshots" / "lenet_iter_5.caffemodel").write_bytes(LARGE)
    address = Address("local", "local", "local")
    return JobRecord("t", "lenet", address, "s", 0.0, PurePosixPath(run), JobStatus(JobState.RUNNING))


def fetch(record: JobRecord, transport: Local, into: Path) -> None:
    fetching.fetch(record, fetching.wanted(record, transport), transport, into, lambda size: None)


def files(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if name != fetching.OWNER}


def test_results_come_home_whole(record: JobRecord, tmp_path: Path) -> None:
    fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into") == {"train.log": b"one\n", "snapshots/lenet_iter_5.caffemodel": LARGE}


def test_the_points_of_a_sweep_come_along(record: JobRecord, tmp_path: Path) -> None:
    point = Path(record.run_folder) / "points" / "2"
    point.mkdir(parents=True)
    (point / "train.log").write_text("two\n")
    fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into")["points/2/train.log"] == b"two\n"


def test_a_model_is_fetched_once_and_a_log_that_grew_again(record: JobRecord, tmp_path: Path) -> None:
    fetch(record, Local(), tmp_path / "into")
    (Path(record.run_folder) / "train.log").write_text("one\ntwo\n")
    transport = Counted()
    fetch(record, transport, tmp_path / "into")
    assert transport.got == len("one\ntwo\n")
    assert (tmp_path / "into" / "train.log").read_text() == "one\ntwo\n"


def test_a_model_that_is_another_by_now_is_fetched_again(record: JobRecord, tmp_path: Path) -> None:
    fetch(record, Local(), tmp_path / "into")
    (tmp_path / "into" / "snapshots" / "lenet_iter_5.caffemodel").write_bytes(LARGE[::-1])
    fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into")["snapshots/lenet_iter_5.caffemodel"] == LARGE


def test_files_of_the_same_names_are_the_users_own(record: JobRecord, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "train.log").write_text("mine\n")
    with pytest.raises(RequestError, match=r"into: has train.log, which .* name another folder with --into"):
        fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into") == {"train.log": b"mine\n"}


def test_a_folder_is_of_one_job(record: JobRecord, tmp_path: Path) -> None:
    fetch(record, Local(), tmp_path / "into")
    with pytest.raises(RequestError, match="were not fetched of it"):
        fetch(replace(record, token="u"), Local(), tmp_path / "into")


def test_a_model_that_broke_off_goes_on_where_it_was(record: JobRecord, tmp_path: Path) -> None:
    transport = Counted()
    transport.left = fetching.PIECE
    with pytest.raises(TransportError, match="cut"):
        fetch(record, transport, tmp_path / "into")
    assert not (tmp_path / "into" / "snapshots" / "lenet_iter_5.caffemodel").exists()
    transport.left = 10**9
    fetch(record, transport, tmp_path / "into")
    assert files(tmp_path / "into")["snapshots/lenet_iter_5.caffemodel"] == LARGE
    assert transport.got <= len(LARGE) + 2 * len("one\n")


def test_a_part_of_something_else_is_found_out(record: JobRecord, tmp_path: Path) -> None:
    part = tmp_path / "into" / "snapshots" / ".lenet_iter_5.caffemodel.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"wrong" * 1000)
    with pytest.raises(TransportError, match="fetch once more"):
        fetch(record, Local(), tmp_path / "into")
    fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into")["snapshots/lenet_iter_5.caffemodel"] == LARGE


def test_a_name_that_leads_out_of_the_folder_is_refused(record: JobRecord, tmp_path: Path) -> None:
    names = {PurePosixPath("../evil"): 1}
    with pytest.raises(TransportError, match="leads out of its folder"):
        fetching.fetch(record, names, Local(), tmp_path / "into", lambda size: None)


def test_a_run_folder_that_is_gone(record: JobRecord, tmp_path: Path) -> None:
    gone = JobRecord("t", "lenet", record.address, "s", 0.0, PurePosixPath(tmp_path / "gone"), record.status)
    with pytest.raises(TransportError, match="is empty or gone"):
        fetch(gone, Local(), tmp_path / "into")
