"""Held, released, cancelled: real jobs of the queue on this machine, that only sleep."""

import time
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew import change, watch
from hpcbrew.address import Address
from hpcbrew.errors import RequestError
from hpcbrew.job import JobRecord, JobState, Standing
from hpcbrew.ledger import Ledger

HERE = Address("local", "local", "local")


def submitted(folder: Path, ledger: Ledger, body: str = "sleep 600") -> JobRecord:
    folder.mkdir()
    (folder / "job.pbs").write_text(f"#PBS -N {folder.name}\n#PBS -o out\n{body}\n")
    site = watch.reach(HERE)
    job_id = site.scheduler.parse_submit(
        site.transport.run(site.scheduler.submit_command(PurePosixPath("job.pbs")), PurePosixPath(folder))
    )
    queued = Standing(JobState.QUEUED)
    record = JobRecord(folder.name, folder.name, HERE, "s", time.time(), PurePosixPath(folder), queued, job_id)
    ledger.intend(record)
    return record


def state(record: JobRecord, ledger: Ledger, *, until: JobState | None = None) -> JobState:
    end = time.monotonic() + 60
    while True:
        found = watch.look(watch.reach(HERE), [record], ledger)[0].record.standing.state
        if until in (None, found) or time.monotonic() > end:
            return found
        time.sleep(0.1)


def test_a_job_is_held_released_and_cancelled(tmp_path: Path) -> None:
    ledger = Ledger()
    first, second = submitted(tmp_path / "first", ledger), submitted(tmp_path / "second", ledger)
    assert state(first, ledger, until=JobState.RUNNING) is JobState.RUNNING
    assert change.hold(second, ledger) == "held"
    assert state(second, ledger) is JobState.HELD
    with pytest.raises(RequestError, match="runs already"):
        change.hold(first, ledger)
    assert change.release(second, ledger) == "released"
    assert state(second, ledger) is JobState.QUEUED
    assert [change.cancel(r, ledger) for r in (second, first)] == ["cancelled", "cancelled"]
    assert state(second, ledger) is JobState.CANCELLED
    with pytest.raises(RequestError, match=r"has ended already \(cancelled\), and cannot be held"):
        change.hold(second, ledger)
    assert change.cancel(ledger.find("second"), ledger) == "has ended already: cancelled"
    assert state(first, ledger, until=JobState.CANCELLED) is JobState.CANCELLED
