"""pbsdsh: runs a command as a task on the nodes of the job in which it is called.

A task gets PBS's own environment, not the script's, no shell, and the home folder; its output goes where the job's
goes. The exit status is always 0: a task that failed is only reported on stderr.
"""

import os
import subprocess
import sys
from pathlib import Path

from support.openpbs import environment, runner
from support.openpbs.config import Config
from support.openpbs.errors import Refused
from support.openpbs.store import opened


def main(command: str, folder: Path, config: Config, arguments: list[str]) -> int:
    node, task = _arguments(arguments)
    job_id = os.environ.get("PBS_JOBID")
    if "PBS_ENVIRONMENT" not in os.environ or job_id is None:
        raise Refused(1, "pbsdsh: not executing under PBS")
    with opened(folder, config) as state:
        job = state.jobs[job_id]
    count = len(job.own["chunks"])
    out, err = runner.spool(folder, job)
    tasks = []
    for n in range(count) if node is None else [node % count]:
        variables = environment.of_task(job, n + 2, n, folder / "tmp" / f"pbs.{job_id}")
        with out.open("ab") as stdout, err.open("ab") as stderr:
            try:
                process = subprocess.Popen(
                    task,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=job.own["home"],
                    env=variables,
                    start_new_session=True,
                )
            except OSError:
                print(f"pbsdsh: task 0x{n:08X} exit status 254", file=sys.stderr)
                continue
        with (folder / "aux" / f"{job_id}.tasks").open("a") as file:
            file.write(f"{process.pid}\n")
        tasks.append((n, process))
    for n, process in tasks:
        if status := process.wait():
            print(f"pbsdsh: task 0x{n:08X} exit status {status if status > 0 else 256 - status}", file=sys.stderr)
    return 0


def _arguments(arguments: list[str]) -> tuple[int | None, list[str]]:
    words, node = list(arguments), None
    while words and words[0].startswith("-") and words[0] != "--":
        if words.pop(0) == "-n":
            node = int(words.pop(0))
    return node, words[1:] if words[:1] == ["--"] else words
