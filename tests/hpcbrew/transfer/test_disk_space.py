from pathlib import Path

import pytest

from hpcbrew.errors import RequestError
from hpcbrew.transfer import disk_space
from hpcbrew.transfer.disk_space import GIB, Room
from hpcbrew.transports.local import Local

DF = "@df\t/home/me\t/dev/sda1 104857600 52428800 52428800 50% /home"


@pytest.mark.parametrize(
    ("quota", "bound"),
    [
        ("", Room(100 * GIB, 50 * GIB, "file system")),
        ("@quota\t/home/me\t", Room(100 * GIB, 50 * GIB, "file system")),
        ("@quota\t/home/me\t/dev/sda1 10485760 20971520 31457280 1200 0 0", Room(30 * GIB, 20 * GIB, "quota")),
        ("@quota\t/home/me\t/scratch 10485760 20971520 0 - 1200 0 0 -", Room(20 * GIB, 10 * GIB, "quota")),
        ("@quota\t/home/me\t/dev/sda1 31457281* 20971520 31457280 6days 12 0 0", Room(30 * GIB, 0, "quota")),
        ("@quota\t/home/me\t/scratch 10485760 0 0 - 1200 0 0 -", Room(100 * GIB, 50 * GIB, "file system")),
    ],
)
def test_the_tightest_bound_counts(quota: str, bound: Room) -> None:
    assert disk_space.parse(f"Welcome\n{DF}\n{quota}\n") == {"/home/me": bound}


LFS = """#!/bin/bash
case "$*" in
    'project -d '*) echo "110255 P $4" ;;
    'quota -q -u '*) printf '%s\\n   1024 0 0 - 5 0 0 -\\nuid 1 is using default block quota setting\\n' "$5" ;;
    'quota -q -g '*) printf '%s 4194304 0 6291456 - 5 0 0 -\\n' "$5" ;;
    'quota -q -p 110255 '*) printf '%s 4194304 0 5242880 - 5 0 0 -\\n' "$5" ;;
esac
"""


@pytest.mark.parametrize(("project", "bound"), [("110255", "its project"), ("0", "its group")])
def test_what_a_group_or_project_has_left_bounds_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: str, bound: str
) -> None:
    """As at NCI and at sites of the ALCF, where a user has no limit, and the project's folder has one."""
    commands = {
        "lfs": LFS.replace('"110255 P', f'"{project} P'),
        "df": f"#!/bin/sh\necho '{DF.rpartition(chr(9))[2]}'\n",
    }
    (tmp_path / "bin").mkdir()
    for name, text in commands.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    room = disk_space.ask(Local(), [str(tmp_path)])[str(tmp_path)]
    assert room == Room((5 if project != "0" else 6) * GIB, (1 if project != "0" else 2) * GIB, f"quota of {bound}")


def test_real_folders_have_room_and_one_that_is_not_there_has_none(tmp_path: Path) -> None:
    folders = [str(tmp_path), str(tmp_path / "gone")]
    rooms = disk_space.ask(Local(), folders)
    assert 0 < rooms[folders[0]].free <= rooms[folders[0]].total
    assert folders[1] not in rooms


def test_what_does_not_fit_is_refused_with_the_bound_and_what_to_do() -> None:
    with pytest.raises(RequestError, match=r"/there: 6\.0 GiB must be sent, but 5\.0 GiB of 100\.0 GiB .*\(quota\)"):
        disk_space.judge(6 * GIB, "/there", Room(100 * GIB, 5 * GIB, "quota"))


@pytest.mark.parametrize(("size", "warned"), [(30 * GIB, False), (45 * GIB, True)])
def test_what_leaves_little_is_a_warning(size: int, warned: bool) -> None:
    assert bool(disk_space.judge(size, "/there", Room(100 * GIB, 50 * GIB, "file system"))) is warned


@pytest.mark.parametrize(
    ("size", "snapshots", "warned"), [(0, 49, False), (0, 51, True), (39, 12, True), (39, 10, False)]
)
def test_room_that_snapshots_will_not_find_is_a_warning(size: int, snapshots: int, warned: bool) -> None:
    room = Room(100 * GIB, 50 * GIB, "file system")
    said = disk_space.judge(size * GIB, "/there", room, snapshots * GIB)
    assert ("snapshots take about" in said) is warned


def test_a_room_that_cannot_be_told_hinders_nothing() -> None:
    assert disk_space.judge(10**15, "/there", None) == ""


@pytest.mark.parametrize("digits", [20, 4000, 5000, 10**6])
def test_amounts_that_no_disk_has_are_not_known(digits: int) -> None:
    """Nor does it take long to see that."""
    many = "9" * digits
    assert disk_space.parse(f"@df\t/a\t/dev/sda1 {many} 1 {many} 50% /\n@quota\t/a\t/dev/sda1 1 2 {many} 0\n") == {}
