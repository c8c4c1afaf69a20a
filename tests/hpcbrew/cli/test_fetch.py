import json
from pathlib import Path

from click.testing import CliRunner

from hpcbrew.cli.fetch import command
from hpcbrew.job import JobRecord


def test_results_are_fetched_into_a_folder_of_the_jobs_name(lenet: JobRecord, tmp_path: Path) -> None:
    told = CliRunner().invoke(command, ["lenet"])
    assert (told.exit_code, told.stdout) == (0, "4 files, 145 B, in lenet: 4 fetched, 0 unchanged\n")
    assert (tmp_path / "lenet" / "train.log").read_text() == "Iteration 1\n"


def test_as_json_the_files_are_listed(lenet: JobRecord, tmp_path: Path) -> None:
    told = json.loads(CliRunner().invoke(command, ["lenet", "--into", "results", "--json"]).stdout)
    assert (told["name"], told["into"]) == ("lenet", "results")
    assert told["files"] == ["exit.json", "job.id", "job.json", "train.log"]
    assert (tmp_path / "results" / "job.json").exists()


def test_what_was_there_already_and_where_the_model_is_are_told(lenet: JobRecord, tmp_path: Path) -> None:
    model = Path(lenet.run_folder) / "snapshots" / "lenet_iter_20.caffemodel"
    model.write_bytes(b"x" * 2048)
    CliRunner().invoke(command, ["lenet"])
    told = CliRunner().invoke(command, ["lenet"])
    assert told.stdout.splitlines() == [
        "5 files, 2.1 KiB, in lenet: 0 fetched, 5 unchanged",
        "Model: lenet/snapshots/lenet_iter_20.caffemodel",
    ]
