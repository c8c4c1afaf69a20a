"""Login nodes as they are: shells that print things, PBS on the PATH of login shells only. By a user's commands."""

import json
from pathlib import Path

import pytest
from support.remote import RemoteCluster

NOISE = "echo You have 3 new messages; echo quota: fine >&2"


def shown(hpcbrew, *arguments: object) -> dict[str, object]:
    (job,) = json.loads(hpcbrew("status", *arguments, "--json").stdout)
    return job


@pytest.fixture
def noisy(named: RemoteCluster) -> RemoteCluster:
    """Every shell there prints something, on both of its outputs, also one that sshd starts for a command."""
    (named.home / ".bashrc").write_text(f"{NOISE}\n")
    with (named.home / ".bash_profile").open("a") as file:
        file.write(f". ~/.bashrc\n{NOISE}\n")
    return named


def test_pbs_is_found_by_login_shells_only(remote: RemoteCluster) -> None:
    assert remote.transport.plain("qsub --version").status == 127
    assert remote.transport.run(["qsub", "--version"], remote.home).out == "pbs_version = 23.06.06\n"


def test_a_job_goes_its_way_past_shells_that_print(noisy: RemoteCluster, model: Path, hpcbrew) -> None:
    assert "3 new messages" in noisy.transport.plain("true").out
    noisy.engine('echo "Iteration 1, loss = 0.5"; touch begun; while [ ! -e go ]; do sleep 0.1; done')
    noisy.pbs.configure(noise={"qsub": "Checking your budget ...\n", "qstat": "Maintenance on Monday\n\n"})
    sent = hpcbrew("submit", model / "solver.prototxt", "--cluster", "there")
    assert sent.stdout.startswith("1.pbs01  tiny, queued on there\n"), sent.stderr
    folder = Path(sent.stdout.partition("Run folder: ")[2].splitlines()[0])
    while not (folder / "begun").exists():
        assert shown(hpcbrew, "1")["state"] in ("queued", "running")
    assert shown(hpcbrew, "1")["state"] == "running"
    assert hpcbrew("logs", "tiny").stdout.splitlines()[-1] == "Iteration 1, loss = 0.5"
    (folder / "go").touch()
    followed = hpcbrew("logs", "-f", "1")
    assert followed.returncode == 0, followed.stderr
    assert shown(hpcbrew, "1")["state"] == "done"


def test_a_server_that_is_down_is_a_warning_and_changes_nothing(named: RemoteCluster, model: Path, hpcbrew) -> None:
    named.engine("touch begun; sleep 60")
    record = named.submit(model)
    while not (Path(record.run_folder) / "begun").exists():
        named.look(record)
    assert shown(hpcbrew, "1")["state"] == "running"
    named.pbs.configure(down=True)
    asked = hpcbrew("status", "--json")
    assert (asked.returncode, json.loads(asked.stdout)[0]["state"]) == (1, "running")
    assert "there could not be asked, its jobs are shown as last known: qstat failed" in asked.stderr
    cancelled = hpcbrew("cancel", "1")
    assert cancelled.returncode == 2
    assert "Couldn't connect to cluster: pbs01" in cancelled.stderr
    refused = hpcbrew("submit", model / "solver.prototxt", "--cluster", "there")
    assert refused.returncode == 2
    assert "The PBS server does not answer. Nothing was submitted; try again later." in refused.stderr
    named.pbs.configure(down=False)
    assert shown(hpcbrew, "1")["state"] == "running"
