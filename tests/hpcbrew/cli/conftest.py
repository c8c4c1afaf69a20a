import json
import time
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track.ledger import Ledger


@pytest.fixture
def lenet(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobRecord:
    """A job of this machine that has ended well, on two nodes."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    (folder / "snapshots").mkdir(parents=True)
    (folder / "job.id").write_text("1.local\n")
    (folder / "train.log").write_text("Iteration 1\n")
    (folder / "exit.json").write_text('{"status": 0, "time": 1}')
    description = {"set": {}, "resources": {"nodes": 2}, "links": 1, "after": None, "engine": "own", "definitions": []}
    (folder / "job.json").write_text(json.dumps(description))
    local, done = Address("local", "local", "local"), JobStatus(JobState.DONE, "", 0)
    record = JobRecord("0123abcd", "lenet", local, "/s.prototxt", time.time(), PurePosixPath(folder), done, "1.local")
    Ledger().intend(record)
    return record
