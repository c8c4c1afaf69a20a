import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpcbrew.cli import COMMANDS
from hpcbrew.job import JobRecord

HEAVY = {
    "jax",
    "numpy",
    "paramiko",
    "pydantic",
    "jinja2",
    "google.protobuf",
    "rich",
    "yaml",
    "hpcbrew.plan",
    "engine.net",
}
"""What takes long to import, each of it longer than all that most commands do."""

PROFILES = {"pydantic", "yaml"}
NEEDS: dict[str, set[str]] = {
    "--help": set(),
    "status": set(),
    "status --all --json": set(),
    "status lenet": set(),
    "logs lenet": set(),
    "logs -f lenet": set(),
    "logs lenet --rank 1": set(),
    "fetch lenet": set(),
    "compare lenet": {"google.protobuf"},
    "plot --help": {"google.protobuf"},
    "cancel lenet": set(),
    "hold lenet": set(),
    "release lenet": set(),
    "open --help": set(),
    "completion bash": set(),
    "config show": set(),
    "config set cluster local": PROFILES,
    "cluster list": PROFILES,
    "adopt --cluster local": PROFILES,
    "submit --help": set(),
    "resume --help": set(),
    "sweep --help": set(),
    "setup --help": set(),
}


def imported(*arguments: str) -> set[str]:
    """The modules that a command brings in."""
    code = (
        "import sys; from hpcbrew.cli import group\n"
        "try: group.main(sys.argv[1:], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("command", NEEDS)
def test_a_command_loads_what_it_needs(lenet: JobRecord, command: str) -> None:
    modules = imported(*command.split())
    assert "hpcbrew.cli" in modules
    assert modules & HEAVY <= NEEDS[command]


def test_a_submit_imports_no_jax(model: Path) -> None:
    assert imported("submit", str(model / "solver.prototxt"), "--cluster", "iitd", "--dry-run").isdisjoint({"jax"})


@pytest.mark.parametrize("module", ["click", "hpcbrew.cli.output", "hpcbrew.submit"])
def test_ctrl_c_while_the_command_is_loaded_is_no_traceback(module: str) -> None:
    code = (
        "import sys\n"
        "class Pressed:\n"
        f"    def find_spec(name, *_): {{'{module}': signal.raise_signal}}.get(name, bool)(signal.SIGINT)\n"
        "import signal; sys.meta_path.insert(0, Pressed)\n"
        "sys.argv[1:] = ['submit', 'solver.prototxt']\n"
        "from hpcbrew.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "hpcbrew: interrupted before it began: nothing was submitted\n")


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
        "hpcbrew: error: no job 'nope' was submitted from here. hpcbrew status --all lists those that were, "
        "and hpcbrew adopt takes over those of another machine\n",
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


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("command", ["status", "logs lenet", "logs -f lenet", "status --watch"])
def test_closed_streams_are_no_traceback_and_no_file_gets_what_is_printed(
    lenet: JobRecord, tmp_path: Path, command: str, streams: str
) -> None:
    before = {path: path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
    shell = f"{sys.executable} -P -m hpcbrew {command} {streams}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path: path.stat().st_size for path in before} == before


@pytest.mark.parametrize("command", ["status", "logs lenet", "logs lenet --json", "logs -f lenet --json"])
def test_output_that_cannot_be_written_is_told(lenet: JobRecord, command: str) -> None:
    shell = f"{sys.executable} -P -m hpcbrew {command} >/dev/full"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (1, "hpcbrew: error: this machine: No space left on device\n")


def test_a_reader_that_has_seen_enough_is_no_fault_of_ours(lenet: JobRecord) -> None:
    (Path(lenet.run_folder) / "train.log").write_bytes(b"line\n" * 10**6)
    shell = f"set -o pipefail; {sys.executable} -P -m hpcbrew logs lenet | head -1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (141, "line\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(hpcbrew, shell: str) -> None:
    assert "_HPCBREW_COMPLETE" in hpcbrew("completion", shell).stdout


def test_a_bash_that_is_too_old_for_the_script_gets_none(hpcbrew, tmp_path: Path) -> None:
    (tmp_path / "bash").write_text("#!/bin/sh\necho '3.2.57(1)-release'\n")
    (tmp_path / "bash").chmod(0o755)
    done = hpcbrew("completion", "bash", env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "this bash is 3.2.57(1)-release, and completion needs 4.4 or later" in done.stderr


def completed(hpcbrew, *words: str) -> list[str]:
    """What the shell is offered for the last of these words."""
    asked = {"_HPCBREW_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = hpcbrew(env={**os.environ, **asked})
    return [line.removeprefix("plain,") for line in done.stdout.splitlines()]


def test_commands_jobs_clusters_and_options_are_completed(hpcbrew, lenet: JobRecord) -> None:
    assert completed(hpcbrew, "hpcbrew", "s") == ["submit", "status", "sweep", "setup"]
    assert completed(hpcbrew, "hpcbrew", "logs", "l") == ["lenet"]
    assert completed(hpcbrew, "hpcbrew", "adopt", "--cluster", "ii") == ["iitd"]
    assert completed(hpcbrew, "hpcbrew", "--v") == ["--version"]


def test_completing_a_command_loads_none() -> None:
    code = (
        "import sys; from hpcbrew.cli import COMMANDS, group\n"
        "context = group.make_context('hpcbrew', [], resilient_parsing=True)\n"
        "names = [item.value for item in group.shell_complete(context, '')]\n"
        "assert 'submit' in names, names\n"
        "print(*(name for name in sys.modules if name.removeprefix('hpcbrew.cli.') in COMMANDS))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
