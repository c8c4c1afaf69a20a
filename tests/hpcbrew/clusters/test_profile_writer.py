from pathlib import Path

import pytest

from hpcbrew.clusters import profile_writer, profiles
from hpcbrew.errors import ProfileError

NOTHING = dict.fromkeys(("transport", "host", "scratch", "queue", "project"))


def add(name: str, *, scheduler: str = "pbs", extends: str | None = None, force: bool = False, **given: str) -> Path:
    values = profile_writer.compose(name, scheduler, extends, NOTHING | given)
    return profile_writer.write(name, values, force=force)


def test_a_profile_is_what_was_given_over_what_it_extends() -> None:
    add("mine", extends="iitd", host="hpc", scratch="$SCRATCH", project="ee", queue="high")
    mine = profiles.load("mine")
    assert (mine.host, mine.scratch, mine.queue, mine.account.default) == ("hpc", "$SCRATCH", "high", "ee")
    assert mine.queues == profiles.load("iitd").queues
    assert mine.account.required


def test_without_a_base_it_is_a_plain_pbs() -> None:
    add("mine", host="me@login")
    assert profiles.values("mine")["resources"] == profiles.values("openpbs")["resources"]


def test_a_cluster_of_this_machine_has_no_host() -> None:
    with pytest.raises(ProfileError, match=r"host: 'login': a cluster on this machine has no host"):
        add("here", extends="local", host="login")


def test_a_queue_that_the_base_does_not_list_is_added() -> None:
    add("mine", extends="iitd", host="hpc", queue="workq")
    assert {"workq", "standard"} <= set(profiles.load("mine").queues)


def test_a_profile_of_a_shipped_name_extends_that_one_also_when_written_again() -> None:
    add("iitd", host="me@hpc", queue="workq")
    add("iitd", host="you@hpc", queue="workq", force=True)
    assert (profiles.load("iitd").host, profiles.load("iitd").queue) == ("you@hpc", "workq")
    assert "standard" in profiles.load("iitd").queues


def test_the_home_of_this_machine_becomes_a_tilde_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    add("mine", host="login", scratch="/home/me/scratch")
    add("other", host="login", scratch="/home/mel/scratch")
    assert profiles.load("mine").scratch == "~/scratch"
    assert profiles.load("other").scratch == "/home/mel/scratch"


def test_a_profile_that_is_there_stays_unless_forced() -> None:
    path = add("mine", host="a")
    before = path.read_text()
    with pytest.raises(ProfileError, match="--force"):
        add("mine", host="b")
    assert path.read_text() == before
    add("mine", host="b", force=True)
    assert profiles.load("mine").host == "b"


FAULTS = {
    "no name": ("../mine", {"host": "a"}, "is not a valid name for a cluster"),
    "wrong transport": ("mine", {"host": "a", "transport": "telnet"}, "transport: 'telnet'"),
    "empty scratch": ("mine", {"host": "a", "scratch": ""}, "scratch: ''"),
    "scratch that runs a command": ("mine", {"host": "a", "scratch": "$(id)"}, "scratch: '$(id)'"),
    "host that is an option": ("mine", {"host": "-oProxyCommand=id"}, "host: '-oProxyCommand=id'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_makes_no_sound_profile_is_not_written(fault: str, home: Path) -> None:
    name, given, said = FAULTS[fault]
    with pytest.raises(ProfileError) as error:
        add(name, **given)
    assert said in str(error.value)
    assert not list(home.rglob("*.yaml"))
