import subprocess
from pathlib import Path

import pytest

from hpcbrew.plan import once


@pytest.fixture
def ask(tmp_path: Path):
    """Runs the command in a run folder; qsub there is what `qsub` holds, and counts how often it was called."""

    def run(qsub: str = "echo 12.pbs01") -> tuple[int, str, str]:
        (tmp_path / "qsub").write_text(f"#!/bin/sh\necho x >>calls\n{qsub}\n")
        (tmp_path / "qsub").chmod(0o755)
        command = once.command(["./qsub", "job.pbs"])
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


def calls(folder: Path) -> int:
    return len((folder / "calls").read_text().splitlines())


def test_the_id_is_on_disk_and_printed(ask, tmp_path: Path) -> None:
    assert ask() == (0, "12.pbs01\n", "")
    assert (tmp_path / "job.id").read_text() == "12.pbs01\n"
    assert (tmp_path / "snapshots").is_dir()


def test_repeated_it_gives_the_same_id_and_asks_no_second_time(ask, tmp_path: Path) -> None:
    assert ask() == ask("echo 13.pbs01") == (0, "12.pbs01\n", "")
    assert calls(tmp_path) == 1


def test_while_another_is_at_qsub_it_says_so(ask, tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    assert ask() == (0, "begun\n", "")
    assert not (tmp_path / "calls").exists()


def test_what_was_refused_may_be_asked_again(ask, tmp_path: Path) -> None:
    assert ask("echo 'qsub: Unknown queue' >&2; exit 170") == (170, "", "qsub: Unknown queue\n")
    assert not (tmp_path / "job.id").exists()
    assert ask() == (0, "12.pbs01\n", "")
    assert calls(tmp_path) == 2


def test_the_id_is_told_also_where_it_cannot_be_written(ask, tmp_path: Path) -> None:
    (tmp_path / "job.id").symlink_to(tmp_path / "gone" / "job.id")  # stands for a full disk
    status, out, _ = ask()
    assert (status, out) == (0, "12.pbs01\n")


def test_a_folder_that_cannot_be_written_to_reaches_no_qsub(ask, tmp_path: Path) -> None:
    (tmp_path / "snapshots").touch()
    status, out, said = ask()
    assert (status, out) == (1, f"{once.NO_FOLDER}\n")
    assert "snapshots" in said
    assert not (tmp_path / "calls").exists()


NOISE = {
    "after it": ("echo 12.pbs01; echo 'Your job will start soon.'", "12.pbs01"),
    "before it": ("echo Welcome; echo; echo 12.pbs01", "12.pbs01"),
    "around it, with a version and a count": ("echo 23.06.06; echo ' 12[].pbs01\r'; echo 1700", "12[].pbs01"),
    "on stderr": ("echo 'qsub: note: 3 of 5 hours are left' >&2; echo 12.pbs01", "12.pbs01"),
    "twice the same": ("echo 12.pbs01; echo 12.pbs01", "12.pbs01"),
    "and it fails afterwards": ("echo 12.pbs01; exit 3", "12.pbs01"),
}


@pytest.mark.parametrize("where", NOISE)
def test_the_id_is_found_whatever_qsub_says_besides(ask, tmp_path: Path, where: str) -> None:
    qsub, job_id = NOISE[where]
    status, out, _ = ask(qsub)
    assert (status, out) == (0, f"{job_id}\n")
    assert (tmp_path / "job.id").read_text() == f"{job_id}\n"


@pytest.mark.parametrize("qsub", ["echo Submitted.", "true", "echo 12.pbs01; echo 13.pbs01"])
def test_where_no_id_is_told_none_is_written_and_none_is_asked_for_again(ask, tmp_path: Path, qsub: str) -> None:
    assert ask(qsub)[0] == 0
    assert not (tmp_path / "job.id").exists()
    assert ask(qsub)[:2] == (0, f"{once.BEGUN}\n")
    assert calls(tmp_path) == 1
