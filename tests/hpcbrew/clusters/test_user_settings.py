import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpcbrew.clusters import user_settings
from hpcbrew.errors import ProfileError


def write(text: str) -> Path:
    user_settings.path().parent.mkdir(parents=True, exist_ok=True)
    user_settings.path().write_text(text, errors="surrogateescape")
    return user_settings.path()


def test_what_is_written_is_read() -> None:
    user_settings.write({"cluster": "iitd"})
    assert user_settings.default_cluster() == "iitd"


def test_what_is_set_for_one_cluster_is_taken_back() -> None:
    user_settings.write({"cluster": "iitd"})
    assert user_settings.put_for("gadi", "walltime", "12:00:00")
    assert not user_settings.put_for("gadi", "walltime", "12:00:00")
    assert (user_settings.of_cluster("gadi"), user_settings.of_cluster("iitd")) == ({"walltime": "12:00:00"}, {})
    assert user_settings.put_for("gadi", "walltime", None)
    assert user_settings.read() == {"cluster": "iitd"}


def test_without_a_setting_the_error_says_how_to_make_one() -> None:
    assert user_settings.read() == {}
    with pytest.raises(ProfileError, match="hpcbrew config set cluster NAME"):
        user_settings.default_cluster()


FAULTS = {
    "not YAML": ("cluster: [a\n", "not YAML"),
    "not a mapping": ("- iitd\n", "this is list"),
    "unknown key": ("clutser: iitd\n", "clutser: no such setting. Did you mean 'cluster'"),
    "not text": ("cluster: 5\n", "cluster: 5 is not valid text"),
    "no key": ("5: iitd\n", "5: no such setting"),
    "nested": ("[" * 20_000, "is nested too deep"),
    "endless": (
        "cluster: [&a0 [x]" + "".join(f", &a{n + 1} [*a{n}, *a{n}]" for n in range(60)) + "]\n",
        ":1: stands for more than 100,000 values",
    ),
    "unknown key of a cluster": (
        "clusters: {iitd: {projcet: ee}}\n",
        "'iitd': projcet: no such setting. Did you mean 'project'",
    ),
    "no clusters": ("clusters: [iitd]\n", "clusters: ['iitd'] is not valid"),
    "no settings": ("clusters: {iitd: ee}\n", "'iitd': 'ee' is not valid"),
    "no time": ("clusters: {iitd: {walltime: 12:00:00}}\n", "walltime: 43200 is not valid text"),
    "long number": ("cluster: 0x" + "f" * 5000, ":1: holds a number of 5,002 characters"),
    "no date": ("cluster: 2026-13-45\n", "not YAML: month must be in 1..12"),
    "large": ("cluster: " + "x" * 2**16, "cannot be read: has 65,545 bytes, but at most 65,536 are read"),
    "no UTF-8": ("cluster: caf\udce9\n", "can't decode byte 0xe9"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_file_is_named(fault: str) -> None:
    text, said = FAULTS[fault]
    path = write(text)
    with pytest.raises(ProfileError) as error:
        user_settings.read()
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)


def test_a_pipe_in_their_place_is_told_of_and_keeps_nobody_waiting(home: Path) -> None:
    user_settings.path().parent.mkdir(parents=True)
    os.mkfifo(user_settings.path())
    with pytest.raises(ProfileError, match="is a pipe, but a file is needed"):
        user_settings.read()
    with pytest.raises(ProfileError, match="is not a regular file, and is not written to"):
        user_settings.write({"cluster": "iitd"})


def test_settings_that_cannot_be_written_are_told(hpcbrew, home: Path) -> None:
    (home / "config").write_text("in the way")
    for command in (
        ("config", "set", "cluster", "local"),
        ("cluster", "add", "mine", "--host", "h", "--scratch", "/s", "-y"),
    ):
        done = hpcbrew(*command)
        assert done.returncode == 2
        assert done.stderr.startswith(f"hpcbrew: error: {home}/config/hpcbrew/")
        assert "Not a directory" in done.stderr


@pytest.mark.parametrize("name", ["x" * 300, "a/b", "..", "a\nb", "\udcff"])
def test_a_cluster_has_a_name_that_a_file_can_have(hpcbrew, name: str) -> None:
    done = hpcbrew("cluster", "add", name, "--host", "h", "--scratch", "/s", "-y")
    assert (done.returncode, "is not a valid name for a cluster" in done.stderr) == (2, True)
    assert "no cluster" in hpcbrew("config", "set", "cluster", name).stderr


def test_processes_that_set_something_at_once_lose_nothing_of_each_other() -> None:
    words = "import sys; from hpcbrew.clusters.user_settings import put_for; [put_for(sys.argv[1], k, 'x') for k in {}]"
    keys = ["project", "queue", "mail", "mem"]
    command = [sys.executable, "-c", words.format(keys)]
    processes = [subprocess.Popen([*command, name]) for name in ("a", "b", "c")]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert {name: sorted(user_settings.of_cluster(name)) for name in "abc"} == dict.fromkeys("abc", sorted(keys))
