import json
from pathlib import Path


def test_a_default_cluster_is_used_by_submit(hpcbrew, model: Path) -> None:
    assert hpcbrew("config", "set", "cluster", "iitd").returncode == 0
    assert json.loads(hpcbrew("config", "show", "--json").stdout) == {"cluster": "iitd"}
    done = hpcbrew("submit", model / "solver.prototxt", "--dry-run", "--json")
    assert json.loads(done.stdout)["cluster"] == "iitd"


def test_without_one_a_submit_says_how_to_name_one(hpcbrew, model: Path) -> None:
    hpcbrew("config", "set", "cluster", "iitd")
    hpcbrew("config", "unset", "cluster")
    done = hpcbrew("submit", model / "solver.prototxt", "--dry-run")
    assert (done.returncode, "hpcbrew config set cluster NAME" in done.stderr) == (2, True)


def test_an_unknown_cluster_is_not_taken(hpcbrew) -> None:
    done = hpcbrew("config", "set", "cluster", "iitdd")
    assert (done.returncode, "Did you mean 'iitd'" in done.stderr) == (2, True)
    assert json.loads(hpcbrew("config", "show", "--json").stdout) == {}
