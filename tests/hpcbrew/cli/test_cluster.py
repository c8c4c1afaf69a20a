import json
import os
import pty
import subprocess
import sys


def test_an_added_cluster_is_shown(hpcbrew) -> None:
    done = hpcbrew("cluster", "add", "mine", "--host", "hpc", "--scratch", "$SCRATCH", "--extends", "iitd", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "hpcbrew setup mine" in done.stdout
    shown = json.loads(hpcbrew("cluster", "show", "mine", "--json").stdout)
    assert (shown["host"], shown["scratch"]) == ("hpc", "$SCRATCH")


def test_a_login_node_that_hpcbrew_runs_on_has_no_host(hpcbrew, model, tmp_path) -> None:
    added = hpcbrew("cluster", "add", "here", "--transport", "local", "--scratch", tmp_path / "scratch")
    assert added.returncode == 0, added.stderr
    plan = hpcbrew("submit", model / "solver.prototxt", "--cluster", "here", "--walltime", "1h", "--dry-run", "--json")
    assert "#PBS -l walltime=01:00:00" in json.loads(plan.stdout)["script"]


def test_without_a_terminal_nothing_is_asked(hpcbrew) -> None:
    done = hpcbrew("cluster", "add", "mine", stdin=subprocess.DEVNULL)
    assert (done.returncode, "--host HOST" in done.stderr) == (2, True)


def test_on_a_terminal_what_is_missing_is_asked_for(hpcbrew) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"hpc\n\n")
    command = [sys.executable, "-P", "-m", "hpcbrew", "cluster", "add", "mine", "--extends", "iitd"]
    subprocess.run(command, stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL, check=True)
    os.close(theirs)
    os.close(ours)
    shown = json.loads(hpcbrew("cluster", "show", "mine", "--json").stdout)
    assert (shown["host"], shown["scratch"]) == ("hpc", "~/scratch")
