import json

from click.testing import CliRunner

from hpcbrew.cli import cancel, hold, release
from hpcbrew.job import JobRecord


def test_one_job_that_cannot_be_changed_holds_up_no_other_and_is_told(lenet: JobRecord) -> None:
    told = CliRunner().invoke(hold.command, ["lenet", "0123abcd"])
    assert told.exit_code == 2
    line = "hpcbrew: error: lenet (1.local): has ended already (done) and cannot be held\n"
    assert (told.stdout, told.stderr) == ("", line * 2)


def test_a_job_that_has_ended_is_not_cancelled_and_that_is_no_fault(lenet: JobRecord) -> None:
    told = CliRunner().invoke(cancel.command, ["lenet"])
    assert (told.exit_code, told.stdout) == (0, "lenet (1.local): has ended already: done\n")


def test_as_json_each_job_has_its_outcome(lenet: JobRecord) -> None:
    told = CliRunner().invoke(release.command, ["lenet", "--json"])
    (job,) = json.loads(told.stdout)
    assert (told.exit_code, job["name"], job["outcome"]) == (2, "lenet", None)
    assert job["error"] == "has ended already (done) and cannot be released"
