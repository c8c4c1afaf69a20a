import os
from pathlib import Path

import pytest

from hpcbrew.clusters import profile_files, profiles
from hpcbrew.errors import ProfileError


@pytest.fixture
def write(home: Path):
    def write(name: str, text: str) -> Path:
        path = home / "config" / "hpcbrew" / "clusters" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", [path.stem for path in profile_files.folders()[1].glob("*.yaml")])
def test_every_shipped_profile_is_sound(name: str) -> None:
    assert profiles.load(name).name == name


def test_a_profile_takes_what_it_does_not_say_from_the_one_it_extends(write) -> None:
    write("mine", "extends: iitd\nhost: hpc\naccount: {default: ee}\nqueues: {low: {walltime: '12:00:00'}}\n")
    mine, iitd = profiles.load("mine"), profiles.load("iitd")
    assert (mine.host, mine.account.default, mine.account.required) == ("hpc", "ee", True)
    assert mine.queues["low"].walltime == 12 * 3600
    assert mine.queues["standard"] == iitd.queues["standard"]


def test_null_takes_an_entry_out(write) -> None:
    write("mine", "extends: iitd\nqueues: {test: null}\n")
    assert "test" not in profiles.load("mine").queues


def test_a_profile_may_extend_the_shipped_one_of_its_own_name(write) -> None:
    write("iitd", "extends: iitd\nhost: me@hpc.iitd.ac.in\n")
    assert profiles.load("iitd").host == "me@hpc.iitd.ac.in"
    assert profiles.load("iitd").account.required


FAULTS = {
    "unknown key": ("extends: iitd\nhosts: x\n", "hosts: no such key. Did you mean 'host'?"),
    "unknown key below": (
        "extends: iitd\nqueues: {low: {waltime: 5}}\n",
        "queues.low.waltime: no such key. Did you mean",
    ),
    "wrong choice": ("extends: iitd\nscheduler: slurm\n", "scheduler: 'slurm': must be 'pbs' or 'local'"),
    "one wrong choice of several": (
        "extends: iitd\naccount: {flag: [-A, -X]}\n",
        "account.flag.1: '-X': must be '-P', ",
    ),
    "a line of hpcbrew's own": ("extends: iitd\ndirectives: [-N me]\n", "directives.0: '-N me': must be an option of"),
    "wrong time": (
        "extends: iitd\nqueues: {low: {walltime: soon}}\n",
        "queues.low.walltime: 'soon': 'soon' is not a valid duration",
    ),
    "wrong type": ("extends: iitd\nmax_nodes: many\n", "max_nodes: 'many': must be a valid integer"),
    "neither of two": (
        "extends: iitd\ngpus_per_node: -1\n",
        "gpus_per_node: -1: must be greater than or equal to 0, or",
    ),
    "number for text": ("extends: iitd\nenvironment: {THREADS: 4}\n", "environment.THREADS: 4: must be text"),
    "no list": ("extends: iitd\nmodules: {load: cuda}\n", "modules: {'load': 'cuda'}: must be a list"),
    "line break": ('extends: iitd\nproxy: "a\\nb"\n', "must be one line"),
    "scratch that runs a command": ("extends: iitd\nscratch: $(rm -rf ~)\n", "scratch: '$(rm -rf ~)'"),
    "password of a proxy": (
        "extends: iitd\nproxy: http://me:secret@proxy:3128\n",
        "'http://…@proxy:3128': must not contain a login",
    ),
    "host that is an option": ("extends: iitd\nhost: -oProxyCommand=id\n", "host: '-oProxyCommand=id'"),
    "no host": ("scratch: ~/scratch\n", "host: missing"),
    "queue not there": ("extends: iitd\nqueue: fast\n", "'fast' is not among queues"),
    "kind of GPU not there": ("extends: iitd\ngpu_type: H100\n", "'H100' is not among gpu_types (K40, V100, "),
    "not YAML": ("host: [a\n", ":2: not YAML"),
    "bytes": ("extends: iitd\nproxy: !!binary aGk=\n", ":2: not YAML: could not determine a constructor"),
    "a set": ("extends: iitd\nmodules: !!set {a, b}\n", ":2: not YAML: could not determine a constructor"),
    "a date": ("extends: iitd\ndescription: 2026-01-01\n", "must be text: put it in quotes"),
    "empty": ("", "this is empty"),
    "not a mapping": ("- a\n", "this is list"),
    "named": ("extends: iitd\nname: x\n", "name: a cluster has the name of its file"),
    "extends nothing": ("extends: iit\n", "extends: no cluster 'iit'. Did you mean 'iitd'?"),
    "extends a list": (
        f"extends: [{', '.join('x' * 9 for _ in range(9000))}]\n",
        "'xxxxxxxxx', ...] is not a valid name of a cluster",
    ),
    "a long number": ("extends: 0x" + "f" * 5000, ":1: holds a number of 5,002 characters"),
    "within itself": ("extends: iitd\nqueues: &a {a: *a}\n", ":2: holds a reference to what contains it"),
    "extends itself": ("extends: mine\n", "extends: no cluster 'mine'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_profile_is_an_error_with_file_key_value_and_choices(write, fault: str) -> None:
    text, said = FAULTS[fault]
    path = write("mine", text)
    with pytest.raises(ProfileError) as error:
        profiles.load("mine")
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)


@pytest.mark.parametrize(("kind", "says"), [("pipe", "is a pipe"), ("device", "is a device"), ("large", "at most")])
def test_what_is_no_profile_keeps_nobody_waiting(write, kind: str, says: str) -> None:
    path = write("mine", "x" * 2**19)
    if kind != "large":
        path.unlink()
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(ProfileError, match=says):
        profiles.load("mine")


def test_a_long_value_is_shown_in_short(write) -> None:
    write("mine", f"host: [{', '.join('x' * 99 for _ in range(2000))}]\n")
    with pytest.raises(ProfileError) as error:
        profiles.load("mine")
    assert len(str(error.value)) < 10_000


def test_profiles_that_extend_each_other_are_an_error(write) -> None:
    write("a", "extends: b\n")
    write("b", "extends: a\n")
    with pytest.raises(ProfileError, match="is circular: a → b"):
        profiles.load("a")


def test_an_unknown_cluster_lists_those_that_are_there() -> None:
    with pytest.raises(ProfileError, match=r"Did you mean 'iitd'\? There are: .*gadi, iitd, .*local"):
        profiles.load("iitdd")
