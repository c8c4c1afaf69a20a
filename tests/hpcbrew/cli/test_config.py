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


def resources(hpcbrew, model: Path, *asked: str) -> dict:
    done = hpcbrew("submit", model / "solver.prototxt", "--dry-run", "--json", *asked)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["resources"]


def test_what_is_set_for_a_cluster_holds_for_its_new_jobs(hpcbrew, model: Path) -> None:
    hpcbrew("config", "set", "cluster", "iitd")
    for key, value in (("project", "ee"), ("queue", "low"), ("walltime", "12h"), ("mem", "8G"), ("gpu-type", "V100")):
        assert hpcbrew("config", "set", key, value).returncode == 0
    plain = resources(hpcbrew, model)
    assert (plain["project"], plain["queue"], plain["walltime"], plain["mem"]) == ("ee", "low", 43200, 8 * 2**30)
    assert plain["gpus"] == 0
    assert resources(hpcbrew, model, "--gpu")["select"] == {"centos": "skylake"}
    asked = resources(hpcbrew, model, "--project", "me", "--walltime", "1h")
    assert (asked["project"], asked["walltime"], asked["queue"]) == ("me", 3600, "low")
    assert resources(hpcbrew, model, "--cluster", "local")["project"] is None
    hpcbrew("config", "unset", "queue")
    assert resources(hpcbrew, model)["queue"] == "standard"
    assert "  project: ee  # the project to charge" in hpcbrew("config", "show").stdout


def test_what_a_cluster_does_not_take_is_not_set(hpcbrew) -> None:
    for key, value, said in (
        ("walltime", "90", "90 of what?"),
        ("queue", "fast", "iitd has none called 'fast'. There are: standard"),
        ("project", "two words", "must be one word"),
    ):
        done = hpcbrew("config", "set", key, value, "--cluster", "iitd")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert json.loads(hpcbrew("config", "show", "--json").stdout) == {}


def test_a_setting_without_a_cluster_asks_for_one(hpcbrew) -> None:
    done = hpcbrew("config", "set", "project", "ee")
    assert (done.returncode, "Name one with --cluster NAME" in done.stderr) == (2, True)
