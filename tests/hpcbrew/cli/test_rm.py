import json
from dataclasses import replace
from pathlib import Path

from hpcbrew.job import JobRecord
from hpcbrew.track.ledger import Ledger


def removable(lenet: JobRecord) -> Path:
    """The job again, in a folder that is called as one of its own."""
    folder = Path(lenet.run_folder).parent / "runs" / "lenet-0123abcd"
    folder.parent.mkdir()
    Path(lenet.run_folder).rename(folder)
    Ledger().forget(lenet.token)
    Ledger().intend(replace(lenet, run_folder=lenet.run_folder.parent / "runs" / folder.name))
    return folder


def test_a_job_is_shown_with_its_size_and_taken_away(hpcbrew, lenet: JobRecord) -> None:
    folder = removable(lenet)
    shown = hpcbrew("rm", "lenet", "--dry-run")
    assert shown.stdout.startswith("lenet (1.local), done: 4 files, ")
    assert shown.stdout.splitlines()[-1].startswith("Nothing was removed; it would be ")
    assert folder.exists()
    done = hpcbrew("rm", "lenet", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1][:9]) == (0, "Removed: ")
    assert not folder.exists()
    assert json.loads(hpcbrew("status", "--all", "--json").stdout) == []


def test_where_nobody_can_be_asked_nothing_is_taken_away(hpcbrew, lenet: JobRecord) -> None:
    folder = removable(lenet)
    done = hpcbrew("rm", "lenet")
    assert (done.returncode, "give --yes, or --dry-run to look" in done.stderr) == (2, True)
    assert folder.exists()


def test_one_that_is_refused_holds_up_no_other(hpcbrew, lenet: JobRecord) -> None:
    folder = removable(lenet)
    done = hpcbrew("rm", "lenet", "lenet[1]")
    assert (done.returncode, "is a single job, not an array" in done.stderr) == (2, True)
    assert folder.exists()  # a name that is wrong is told before anything is done
