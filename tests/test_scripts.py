"""What the scripts install: no more than they need, once, and with a word on what is going on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PYTHON = """#!/bin/bash
case $* in
-c*) echo 3.11 ;;
*install*)
    printf '%s\\n' "$*" >>calls
    printf '%s\\n' 'Collecting a' '  Downloading a-1-py3-none-any.whl (3 MB)' 'Installing collected packages: a'
    exit "${FAILS:-0}"
    ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose Python only notes what it is to install."""
    for folder in ("scripts", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "environment.sh", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / ".venv" / "bin" / "activate").write_text(f"{tmp_path}/.venv")
    (tmp_path / ".venv" / "bin" / "python").write_text(PYTHON)
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    return tmp_path


def prepare(checkout: Path, extras: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    script = f"set -euo pipefail; {extras}\n. scripts/environment.sh"
    return subprocess.run(
        ["bash", "-c", script], cwd=checkout, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def installed(checkout: Path) -> list[str]:
    calls = checkout / "calls"
    return [line.rpartition(" ")[2] for line in calls.read_text().splitlines()] if calls.exists() else []


def test_the_engine_is_installed_once_and_the_tests_needs_when_they_are_wanted(checkout: Path) -> None:
    for extras in ("", "", "extras=test", "", "extras=test"):
        done = prepare(checkout, extras)
        assert done.returncode == 0, done.stderr
    assert installed(checkout) == [".[engine,plot]", ".[test]"]


def test_another_pyproject_is_another_installation(checkout: Path) -> None:
    prepare(checkout)
    (checkout / "pyproject.toml").write_text("[project]")
    prepare(checkout)
    assert installed(checkout) == [".[engine,plot]", ".[engine,plot]"]


def test_what_takes_long_is_told(checkout: Path) -> None:
    assert prepare(checkout).stdout.splitlines() == [
        "Installing hpcbrew and its dependencies (engine,plot) into .venv; this happens only once.",
        "  1: a-1-py3-none-any.whl (3 MB)",
        "  1 packages fetched; unpacking them.",
    ]


def test_an_installation_that_failed_is_none(checkout: Path) -> None:
    done = prepare(checkout, FAILS="1")
    assert (done.returncode, "pip could not install the project" in done.stderr) == (1, True)
    prepare(checkout)
    assert len(installed(checkout)) == 2


def test_a_checkout_made_on_windows_runs_in_wsl(tmp_path: Path) -> None:
    """Git for Windows writes CR LF unless it is told otherwise, and no shell takes `#!/usr/bin/env bash\\r`."""
    settings = ["-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@localhost"]
    for name in (".gitattributes", "scripts/demo"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["clone", "-q", ".", "windows"]):
        subprocess.run(["git", *settings, *command], cwd=tmp_path, check=True)
    assert (tmp_path / "windows" / "scripts" / "demo").read_bytes() == (ROOT / "scripts" / "demo").read_bytes()
