"""Installs the commands of the PBS stand-in for a test, switches on its oddities, and ends its jobs."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("qsub", "qstat", "qselect", "qdel", "qhold", "qrls", "pbsnodes", "pbsdsh")


@dataclass(frozen=True)
class Standin:
    """`bin`: the folder that users there have on PATH. `state`: the state folder of the server and the nodes."""

    bin: Path
    state: Path

    def configure(self, **values: object) -> None:
        """Changes some of the settings in openpbs/config.py, and leaves the rest."""
        path = self.state / "config.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))
        new.replace(path)

    def run(self, *command: str, **how: object) -> subprocess.CompletedProcess[str]:
        """Runs a command as if typed there."""
        words = [str(self.bin / command[0]), *command[1:]]
        return subprocess.run(words, check=False, **{"capture_output": True, "text": True, **how})  # type: ignore[call-overload,no-any-return]

    def shown(self, job_id: str) -> dict[str, str]:
        """A job's attributes, from qstat's text form."""
        lines = self.run("qstat", "-x", "-f", "-w", job_id).stdout.splitlines()
        return dict(line.strip().split(" = ", 1) for line in lines if " = " in line)

    def end(self) -> None:
        """Kills all running jobs at once."""
        path = self.state / "jobs.json"
        jobs = json.loads(path.read_text())["jobs"].values() if path.exists() else []
        self.configure(down=True)
        sessions = {job["own"].get("runner") for job in jobs if job["attributes"]["job_state"] in ("R", "E")} - {None}
        for tasks in (self.state / "aux").glob("*.tasks"):
            sessions |= {int(word) for word in tasks.read_text().split()}
        for session in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session, signal.SIGKILL)


@contextlib.contextmanager
def installed(bin_folder: Path, state: Path, **config: object) -> Iterator[Standin]:
    """Runs the stand-in until the end of the block. Delays are short, and the server is called pbs01."""
    bin_folder.mkdir(parents=True, exist_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    standin = Standin(bin_folder, state)
    standin.configure(**{"kill_delay": 1.0, "poll": 0.3, "stageout": 0.5, **config})
    path = shlex.quote(str(Path(__file__).parents[1]))
    python = f"PYTHONPATH={path} exec {shlex.quote(sys.executable)} -S -P -m support.openpbs"
    for command in COMMANDS:
        script = bin_folder / command
        script.write_text(
            f'#!/bin/sh\nunset PYTHONDONTWRITEBYTECODE\n{python} {shlex.quote(str(state))} {command} "$@"\n'
        )
        script.chmod(0o755)
    try:
        yield standin
    finally:
        standin.end()
