import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcbrew.cli.logs import command
from hpcbrew.errors import RequestError
from hpcbrew.job import JobRecord
from hpcbrew.track.ledger import Ledger


def logs(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


@pytest.fixture(autouse=True)
def written(lenet: JobRecord) -> None:
    for name, text in (("train.log", "1\n2\n3\n"), ("rank-1.log", "second node\n"), ("scheduler.log", "began\n")):
        Path(lenet.run_folder / name).write_text(text)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ((), "1\n2\n3\n"),
        (("-n", "2"), "2\n3\n"),
        (("-n", "0"), ""),
        (("--err",), "began\n"),
        (("--rank", "0"), "1\n2\n3\n"),
        (("--rank", "1"), "second node\n"),
        (("-f", "-n", "1"), "3\n"),
    ],
)
def test_a_log_is_shown(options: tuple[str, ...], shown: str) -> None:
    assert logs("lenet", *options).stdout == shown


def test_as_json_a_log_is_part_of_the_job(lenet: JobRecord) -> None:
    told = json.loads(logs("lenet", "--json", "-n", "2").stdout)
    assert (told["name"], told["log"], told["lines"]) == ("lenet", str(lenet.run_folder / "train.log"), ["2", "3"])


def test_a_node_that_the_job_does_not_have_is_refused() -> None:
    told = logs("lenet", "--rank", "2")
    assert isinstance(told.exception, RequestError)
    assert str(told.exception) == "--rank 2: lenet runs on 2 nodes, counted from 0"


def test_a_log_that_is_not_there_is_told_and_is_no_fault(lenet: JobRecord) -> None:
    Path(lenet.run_folder / "train.log").unlink()
    told = logs("lenet")
    assert (told.stdout, told.stderr) == ("", "hpcbrew: lenet has written no train.log; it is done\n")
    assert told.exit_code == 0
    assert json.loads(logs("lenet", "--json").stdout)["lines"] == []


def test_an_array_names_the_logs_of_its_jobs(lenet: JobRecord) -> None:
    Ledger().intend(replace(lenet, token="89abcdef", name="swept", id="2[].local", run_folder=lenet.run_folder / "no"))
    assert logs("swept").stderr.endswith("each with its own log: try hpcbrew logs 'swept[1]'\n")


def test_as_json_the_last_line_without_end_is_a_line_and_bytes_that_are_no_text_are_shown(lenet: JobRecord) -> None:
    for written, lines in ((b"", []), (b"\n", [""]), (b"a\r\n\0\xffb", ["a\r", "\0\ufffdb"])):
        Path(lenet.run_folder / "train.log").write_bytes(written)
        assert json.loads(logs("lenet", "--json").stdout)["lines"] == lines
