import json
import subprocess
import sys
from pathlib import Path

import pytest

from hpcbrew.cli import COMMANDS


def imported(*arguments: str) -> set[str]:
    """The modules that a command brings in."""
    code = (
        "import sys; from hpcbrew.cli import group\n"
        "try: group.main(sys.argv[1:], standalone_mode=False)\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_and_status_import_nothing_heavy() -> None:
    for arguments in (["--help"], ["status"]):
        assert imported(*arguments).isdisjoint({"jax", "numpy", "paramiko", "pydantic", "jinja2", "google.protobuf"})


def test_a_submit_imports_no_jax(model: Path) -> None:
    assert imported("submit", str(model / "solver.prototxt"), "--cluster", "iitd", "--dry-run").isdisjoint({"jax"})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_examples(hpcbrew, command: str) -> None:
    done = hpcbrew(command, "--help")
    assert done.returncode == 0
    assert f"hpcbrew {command}" in done.stdout.partition("Examples:")[2]


def test_an_unknown_command_is_bad_usage(hpcbrew) -> None:
    done = hpcbrew("submitt")
    assert (done.returncode, "No such command 'submitt'" in done.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [["logs", "nope"], ["cancel", "nope"], ["status", "nope"]])
def test_a_job_that_is_not_there(hpcbrew, arguments: list[str]) -> None:
    done = hpcbrew(*arguments)
    assert (done.returncode, done.stderr) == (
        2,
        "hpcbrew: error: no job 'nope' was submitted from here; hpcbrew status --all lists those that were, "
        "and hpcbrew adopt takes up those of another machine\n",
    )


def test_clusters_are_listed_and_shown(hpcbrew, home: Path) -> None:
    profiles = home / "config" / "hpcbrew" / "clusters"
    profiles.mkdir(parents=True)
    (profiles / "mine.yaml").write_text("extends: iitd\nhost: hpc\n")
    (profiles / "broken.yaml").write_text("extends: iitd\nhots: hpc\n")
    listed = {row["name"]: row["description"] for row in json.loads(hpcbrew("cluster", "list", "--json").stdout)}
    assert {"local", "iitd", "gadi", "polaris", "aspire2a", "openpbs", "mine", "broken"} <= set(listed)
    assert "hots: no such key" in listed["broken"]
    assert json.loads(hpcbrew("cluster", "show", "mine", "--json").stdout)["host"] == "hpc"
    assert "Did you mean 'host'" in hpcbrew("cluster", "show", "broken").stderr


def test_a_closed_pipe_is_no_traceback(hpcbrew, tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -P -m hpcbrew --help | true", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(hpcbrew, shell: str) -> None:
    assert "_HPCBREW_COMPLETE" in hpcbrew("completion", shell).stdout
