"""Ctrl-C at any moment of a submission: what came of the job is told, and it is true."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.remote import RemoteCluster

from hpcbrew.track import query

MOMENTS = [
    0.8,
    1.4,
    1.8,
    2.3,
    *(pytest.param(moment / 10, marks=pytest.mark.slow) for moment in range(2, 40) if moment not in (8, 14, 18, 23)),
]
TOLD = ("nothing was submitted", "the job was submitted: ", "It is not known yet")


def interrupted(model: Path, after: float, folder: Path) -> subprocess.CompletedProcess[str]:
    """`hpcbrew submit`, sent SIGINT after some seconds, as a terminal does."""
    command = [sys.executable, "-P", "-m", "hpcbrew", "submit", str(model / "solver.prototxt"), "--cluster", "there"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, stdout=pipe, stderr=pipe, text=True, env=os.environ.copy(), start_new_session=True
    ) as process:
        time.sleep(after)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def was_interrupted(done: subprocess.CompletedProcess[str]) -> bool:
    return any(said in done.stderr for said in ("hpcbrew: interrupted", "hpcbrew: Interrupted"))


def what_was_told(done: subprocess.CompletedProcess[str]) -> str:
    """Of a moment before the command began, or when it was over, what that comes to: nothing sent; the id printed."""
    if was_interrupted(done):
        (told,) = [words for words in TOLD if words in done.stderr]
        return told
    return TOLD[1] if "queued on" in done.stdout else TOLD[0]


@pytest.mark.parametrize("after", MOMENTS)
def test_what_came_of_the_job_is_told_whenever_it_is_interrupted(
    named: RemoteCluster, model: Path, tmp_path: Path, after: float
) -> None:
    named.engine("sleep 60")
    named.pbs.configure(slow={"qsub": 0.5})
    done = interrupted(model, after, tmp_path)
    told = what_was_told(done)
    time.sleep(1)  # a qsub that was left to itself ends
    folders = query.ids_by_folder(named.transport, named.site.scheduler)
    runs = named.home / "scratch" / "runs"
    left = [path.name for path in runs.iterdir() if not path.name.startswith(".")] if runs.exists() else []
    entries = named.ledger.all()
    if told == TOLD[0]:
        assert (left, entries, folders) == ([], [], {})
    elif told == TOLD[1]:
        (entry,) = entries
        assert folders == {entry.run_folder.name: (entry.id,)}
        if was_interrupted(done):
            assert f"{told}{entry.id}." in done.stderr
        else:
            assert done.stdout.startswith(f"{entry.id}  ")
    else:
        (entry,) = entries
        assert left == [entry.run_folder.name]
