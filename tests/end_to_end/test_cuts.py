"""A line that breaks at any moment loses no job, doubles none, and leaves no file half written."""

import contextlib
import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest
from support.remote import RemoteCluster

from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import TransportError
from hpcbrew.job import JobState
from hpcbrew.transfer import download, upload

ENGINE = """
for i in 1 2 3; do echo "Iteration $i, loss = 0.$i"; done
head -c 3000000 /dev/urandom >snapshots/tiny_iter_3.caffemodel
"""


def fill(database: Path) -> None:
    """Gives a database megabytes that it never had before, so that they have to be sent."""
    with lmdb.open(str(database), map_size=2**24) as db, db.begin(write=True) as transaction:
        for i in range(40):
            picture = pb.Datum(channels=1, height=200, width=250, data=os.urandom(50_000))
            transaction.put(f"{i:08}".encode(), picture.SerializeToString())


@contextlib.contextmanager
def cutting(cut: Callable[[], None], times: int) -> Iterator[threading.Event]:
    """Cuts the line at random moments; gives an event that is set once it was cut so often."""
    enough, stop, chance = threading.Event(), threading.Event(), random.Random(5)

    def work() -> None:
        for _ in range(times):
            if stop.wait(chance.uniform(0.1, 1.5)):
                return
            cut()
        enough.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield enough
    finally:
        stop.set()
        thread.join()


def persist(step: Callable[..., Any], *arguments: Any) -> Any:
    """What a user does: the same again. The limit is for a test that fails."""
    for _ in range(10):
        with contextlib.suppress(TransportError):
            return step(*arguments)
    return step(*arguments)


def there_and_back(remote: RemoteCluster, model: Path, name: str, into: Path) -> None:
    """A job from new data to fetched results."""
    fill(model / "train_lmdb")
    before = len(remote.ledger.all())
    while len(remote.ledger.all()) == before:  # a submission that was given up for certain left no trace
        with contextlib.suppress(TransportError):
            remote.submit(model, name=name)
    folder = remote.until(JobState.DONE).record.run_folder
    assert b"Iteration 3, loss = 0.3" in (persist(remote.transport.read, folder / "train.log") or b"")
    record = remote.ledger.find(name)
    files = persist(download.wanted, record, remote.transport)
    persist(download.fetch, record, files, remote.transport, into, lambda size: None)
    assert {p for p in files if (into / p).read_bytes() != Path(folder / p).read_bytes()} == set()


@pytest.mark.parametrize("cuts", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_no_job_is_lost_or_doubled_and_no_file_broken_by_cuts_at_any_moment(remote, model, cuts, monkeypatch, tmp_path):
    monkeypatch.setattr(upload, "CHUNK", 2**19)
    monkeypatch.setattr(download, "PIECE", 2**20)
    remote.engine(ENGINE)
    asked = 0
    with cutting(remote.cut, cuts) as enough:
        while not enough.is_set():
            there_and_back(remote, model, f"job{asked}", tmp_path / f"fetched{asked}")
            asked += 1
    assert remote.pbs.run("qstat", "-x", "-f").stdout.count("Job_Name") == asked
    assert sorted(r.name for r in remote.ledger.all()) == sorted(f"job{i}" for i in range(asked))
    for folder in (remote.home / "scratch" / "data").iterdir():
        for path in (p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() in (folder / "SHA256SUMS").read_text()
