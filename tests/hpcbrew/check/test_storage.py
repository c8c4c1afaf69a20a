from pathlib import Path

import pytest

from hpcbrew.check import storage
from hpcbrew.check.finding import Mark
from hpcbrew.check.storage import GIB, Room
from hpcbrew.transports.local import Local

DF = "@df\t/home/me\t/dev/sda1 104857600 52428800 52428800 50% /home"


@pytest.mark.parametrize(
    ("quota", "room"),
    [
        ("", Room(100 * GIB, 50 * GIB, "file system")),
        ("@quota\t/home/me\t", Room(100 * GIB, 50 * GIB, "file system")),
        ("@quota\t/home/me\t/dev/sda1 10485760 20971520 31457280 1200 0 0", Room(30 * GIB, 20 * GIB, "quota")),
        ("@quota\t/home/me\t/scratch 10485760 20971520 0 - 1200 0 0 -", Room(20 * GIB, 10 * GIB, "quota")),
        ("@quota\t/home/me\t/dev/sda1 31457281* 20971520 31457280 6days 12 0 0", Room(30 * GIB, 0, "quota")),
        ("@quota\t/home/me\t/scratch 10485760 0 0 - 1200 0 0 -", Room(100 * GIB, 50 * GIB, "file system")),
    ],
)
def test_the_tightest_bound_counts(quota: str, room: Room) -> None:
    assert storage.parse(f"Welcome\n{DF}\n{quota}\n") == {"/home/me": room}


def test_real_folders_have_room_and_one_that_is_not_there_has_none(tmp_path: Path) -> None:
    folders = [str(tmp_path), str(tmp_path / "gone")]
    rooms = storage.room(Local(), folders)
    assert 0 < rooms[folders[0]].free <= rooms[folders[0]].total
    assert folders[1] not in rooms


@pytest.mark.parametrize(
    ("what", "free", "mark"),
    [
        ("scratch", 50 * GIB, Mark.OK),
        ("scratch", 5 * GIB, Mark.WARN),
        ("home", 5 * GIB, Mark.OK),
        ("home", GIB // 2, Mark.WARN),
        ("scratch", 0, Mark.BAD),
    ],
)
def test_little_room_is_a_warning_and_none_a_fault(what: str, free: int, mark: Mark) -> None:
    finding = storage.judge(what, "/there", Room(100 * GIB, free, "quota"))
    assert finding.mark is mark
    assert bool(finding.remedy) == (mark is not Mark.OK)


def test_a_scratch_folder_that_is_not_there_is_made_by_setup() -> None:
    assert "hpcbrew setup" in storage.judge("scratch", "/there", None).remedy
