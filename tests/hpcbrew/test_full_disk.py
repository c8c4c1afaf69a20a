"""A disk that is full in the middle of things: on the cluster, and here."""

import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest
from support.node import Node

from engine.job_contract import ExitCode
from hpcbrew import full_disk
from hpcbrew.address import Address
from hpcbrew.errors import LedgerError, RequestError, TransportError
from hpcbrew.hashing import file_sha256
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.plan import digests, once
from hpcbrew.plan.build import uploads
from hpcbrew.plan.items import Item
from hpcbrew.track.ledger import Ledger
from hpcbrew.transfer import disk_space, download
from hpcbrew.transfer import upload as shipping
from hpcbrew.transports.local import Local


def fill(disk: Path) -> None:
    subprocess.run(["dd", "if=/dev/zero", f"of={disk}/filled", "bs=1k"], capture_output=True, check=False)
    assert (disk / "filled").stat().st_size <= 2**21


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)


def running(folder: Path) -> JobRecord:
    address, status = Address("here", "local", "pbs"), JobStatus(JobState.RUNNING)
    return JobRecord("t", "n", address, "s", 0.0, PurePosixPath(folder), status, "1.pbs")


def test_data_that_a_disk_has_no_room_for_are_not_sent(transport, small_disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "data.mdb"
    source.write_bytes(b"x" * 3_000_000)
    files = uploads([digests.measure(Item("database", source))])
    with pytest.raises(RequestError, match=r"2\.9 MiB must be sent, but 2\.0 MiB of 2\.0 MiB are free there"):
        shipping.ship(files, PurePosixPath(small_disk), transport, lambda size: None)
    assert list(small_disk.iterdir()) == []


def test_data_break_off_with_what_to_do_and_go_on_when_there_is_room(
    transport, small_disk: Path, tmp_path, monkeypatch
):
    """Room that was there when it was asked for, and that another job has filled since."""
    monkeypatch.setattr(disk_space, "ask", lambda transport, folders: {})
    monkeypatch.setattr(shipping, "CHUNK", 2**20)
    source = tmp_path / "data.mdb"
    source.write_bytes(os.urandom(5_000_000))
    files, root = uploads([digests.measure(Item("database", source))]), PurePosixPath(small_disk)
    with pytest.raises(TransportError, match=r"small disk/data/.*No space left on device.*Free some space there"):
        shipping.ship(files, root, transport, lambda size: None)
    assert [path.suffix for path in (small_disk / "data").iterdir()] == [".part"]
    grow(small_disk)
    shipping.ship(files, root, transport, lambda size: None)
    assert (small_disk / files[0].target).read_bytes() == source.read_bytes()
    assert len(list((small_disk / "data").iterdir())) == 1


def test_a_run_folder_is_not_made_in_part(transport, small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(
        TransportError, match=r"(?s)small disk/runs/a: .*No space left on device.*Free some space there"
    ):
        transport.make_folder(PurePosixPath(small_disk, "runs", "a"), {PurePosixPath("job.pbs"): b"x" * 10_000})
    assert list((small_disk / "runs").iterdir()) == []


def test_a_job_whose_id_has_no_room_is_handed_over_all_the_same(transport, small_disk: Path) -> None:
    fill(small_disk)
    answer = transport.run(once.command(("echo", "12.pbs01")), PurePosixPath(small_disk))
    assert answer.out == "12.pbs01\n"


@pytest.mark.parametrize(
    ("links", "status", "ends"), [(1, 0, 0), (1, 3, 3), (None, 0, ExitCode.NO_ROOM)], ids=["done", "failed", "chain"]
)
def test_a_job_without_room_for_its_records_ends_as_its_engine_did_and_no_chain_begins(
    small_disk: Path, model: Path, tmp_path: Path, links: int | None, status: int, ends: int
) -> None:
    node = Node(small_disk, model)
    node.submit(f"exit {status}", links=links)
    node.command(node.pbs / "qsub", f"touch {tmp_path}/submitted")
    (node.run_folder / "job.id").write_text("11.pbs01\n")
    fill(small_disk)
    assert node.start() == ends
    assert node.exit is None
    assert not (tmp_path / "submitted").exists()


def test_results_break_off_with_what_to_do_and_go_on_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    record, model = running(tmp_path / "run"), tmp_path / "run" / "snapshots" / "n_iter_5.caffemodel"
    model.parent.mkdir(parents=True)
    model.write_bytes(os.urandom(2 * download.PIECE))
    files = download.wanted(record, Local())
    with pytest.raises(TransportError, match=r"small disk/.*No space left on device. Free some space on this machine"):
        download.fetch(record, files, Local(), small_disk, lambda size: None)
    assert [path.name for path in (small_disk / "snapshots").iterdir()] == [f".{model.name}.part"]
    grow(small_disk)
    download.fetch(record, files, Local(), small_disk, lambda size: None)
    assert (small_disk / "snapshots" / model.name).read_bytes() == model.read_bytes()


def test_a_ledger_without_room_says_so_and_keeps_what_it_has(small_disk: Path) -> None:
    ledger = Ledger(small_disk / "ledger.db")
    ledger.intend(running(small_disk))
    fill(small_disk)
    with pytest.raises(LedgerError, match=r"ledger\.db: .*full.*Free some space on this machine"):
        ledger.intend(JobRecord("large", "n" * 100_000, *_rest(small_disk)))
    (small_disk / "filled").unlink()
    assert ledger.all()[0] == running(small_disk)
    ledger.intend(JobRecord("after", "n", *_rest(small_disk)))


def _rest(folder: Path):
    before = running(folder)
    return before.address, before.solver, before.submitted, before.run_folder, before.status


def test_digests_that_cannot_be_kept_are_found_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "LARGE", 1)
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert digests.measure(Item("mean", tmp_path / "file")).digest == file_sha256(tmp_path / "file")


def test_other_troubles_get_no_remedy_for_full_disks() -> None:
    assert full_disk.remedy("dd: writing 'x': Disk quota exceeded")
    assert not full_disk.remedy("Permission denied")
    assert not full_disk.remedy(None)
