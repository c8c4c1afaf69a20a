import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.cli.open import shell
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track.ledger import Ledger

STANDING = JobStatus(JobState.RUNNING)


@pytest.fixture
def here(tmp_path: Path) -> JobRecord:
    folder = tmp_path / "run"
    folder.mkdir()
    record = JobRecord(
        "t", "n", Address("local", "local", "local"), "s", 0.0, PurePosixPath(folder), STANDING, "1.local"
    )
    Ledger().intend(record)
    return record


def test_a_shell_here_starts_in_the_run_folder(here: JobRecord, hpcbrew, tmp_path: Path) -> None:
    own = tmp_path / "shell"
    own.write_text("#!/bin/sh\npwd\nexit 7\n")
    own.chmod(0o755)
    done = hpcbrew("open", "n", env={**os.environ, "SHELL": str(own)})
    assert (done.returncode, done.stdout) == (7, f"{here.run_folder}\n")


def test_a_run_folder_that_is_gone_is_named(here: JobRecord, hpcbrew) -> None:
    Path(here.run_folder).rmdir()
    done = hpcbrew("open", "n")
    assert (done.returncode, str(here.run_folder) in done.stderr) == (2, True)


def test_a_shell_on_a_cluster_starts_in_the_run_folder_whatever_its_login_shell(tmp_path: Path) -> None:
    folder = tmp_path / "it's $(x)!"
    folder.mkdir()
    record = JobRecord("t", "n", Address("iitd", "ssh", "pbs", host="hpc"), "s", 0.0, PurePosixPath(folder), STANDING)
    *ssh, command = shell(record)
    assert ssh == ["ssh", "-t", "-a", "-o", "RemoteCommand=none", "--", "hpc"]
    assert command.startswith("exec sh -c '")  # csh knows no ${SHELL:-/bin/sh}, and reads ! in quotes
    own = tmp_path / "shell"
    own.write_text("#!/bin/sh\npwd\n")
    own.chmod(0o755)
    done = subprocess.run(["sh", "-c", command], env={**os.environ, "SHELL": str(own)}, capture_output=True, check=True)
    assert done.stdout.decode() == f"{folder}\n"


def test_a_host_with_a_port_is_given_as_ssh_takes_it() -> None:
    address = Address("mine", "ssh", "pbs", host="me@hpc:2222")
    record = JobRecord("t", "n", address, "s", 0.0, PurePosixPath("/run"), STANDING, "1.pbs")
    assert shell(record)[5:10] == ["-l", "me", "-p", "2222", "--"]
