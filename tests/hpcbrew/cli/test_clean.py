import os
import time
from pathlib import Path

from hpcbrew.job import JobRecord
from hpcbrew.track.ledger import Ledger


def test_jobs_of_less_than_the_age_stay(hpcbrew, lenet: JobRecord) -> None:
    done = hpcbrew("clean", "--cluster", "local", "--before", "1d", "--yes")
    assert (done.returncode, "local: there are no ended jobs submitted before" in done.stdout) == (0, True)
    assert Ledger().all() == [lenet]


def test_data_that_no_job_needs_are_taken_away(hpcbrew, home: Path) -> None:
    item = home / "data" / "hpcbrew" / "data" / f"{1:032x}"
    item.mkdir(parents=True)
    (item / "file").write_bytes(bytes(5000))
    os.utime(item, (time.time() - 3e5,) * 2)
    shown = hpcbrew("clean", "--cluster", "local", "--data", "--dry-run")
    assert "local: 1 item of data that no job needs, " in shown.stdout
    assert item.exists()
    assert hpcbrew("clean", "--cluster", "local", "--data", "--yes").returncode == 0
    assert not item.exists()


def test_a_time_that_is_none_is_told(hpcbrew) -> None:
    done = hpcbrew("clean", "--cluster", "local", "--before", "last year")
    assert (done.returncode, "is neither an age like 30d or 12h nor a date" in done.stderr) == (2, True)


def test_an_age_of_nothing_is_every_job_that_has_ended(hpcbrew, lenet: JobRecord) -> None:
    done = hpcbrew("clean", "--cluster", "local", "--before", "0d", "--dry-run")
    assert "lenet (1.local)" in done.stdout + done.stderr
