"""Databases copied to a node's own disk: shared by all who read them there, and removed by the last."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from engine.data import local_copy
from engine.data.lmdb_reader import LMDB
from engine.data.local_copy import LocalCopies
from engine.errors import DataError

PAIRS = [(b"%08d" % i, b"value %d" % i) for i in range(25)]


@pytest.fixture
def database(make_lmdb):
    return make_lmdb(PAIRS)


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


def test_a_database_is_read_where_it_is_unless_copies_are_asked_for(database, disk):
    assert local_copy.of(database) == database
    with local_copy.into(str(disk)):
        copy = local_copy.of(database)
        assert (copy.parent.parent, copy.name) == (disk, database.name)
        assert list(LMDB(copy).records()) == PAIRS
        assert local_copy.of(database) == copy
    assert list(disk.iterdir()) == []
    assert list(LMDB(database).records()) == PAIRS


def test_two_share_a_copy_and_the_last_one_removes_it(database, disk):
    first, second = LocalCopies(disk), LocalCopies(disk)
    copy = first.of(database)
    made = (copy / "data.mdb").stat().st_ino
    assert second.of(database) == copy
    first.close()
    assert (copy / "data.mdb").stat().st_ino == made
    second.close()
    assert list(disk.iterdir()) == []


def test_processes_that_come_and_go_have_a_whole_copy_each(database, disk):
    script = f"""
from pathlib import Path
from engine.data.lmdb_reader import LMDB
from engine.data.local_copy import LocalCopies
for _ in range(20):
    copies = LocalCopies(Path({str(disk)!r}))
    assert LMDB(copies.of(Path({str(database)!r}))).entries == 25
    copies.close()
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert list(disk.iterdir()) == []


def test_a_database_that_was_made_anew_is_copied_anew(database, disk):
    copies = LocalCopies(disk)
    old = copies.of(database)
    os.utime(database / "data.mdb", (1, 1))
    other = LocalCopies(disk)
    assert other.of(database) != old
    other.close()
    copies.close()


def test_what_a_killed_process_left_is_removed(database, disk):
    script = f"""
import os
from pathlib import Path
from engine.data.local_copy import LocalCopies
copies = LocalCopies(Path({str(disk)!r}))
copies.of(Path({str(database)!r}))
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert len(list(disk.iterdir())) == 2
    LocalCopies(disk).close()
    assert list(disk.iterdir()) == []


def test_without_room_it_is_read_where_it_is(database, disk, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10))
    with local_copy.into(str(disk)):
        assert local_copy.of(database) == database
        assert list(disk.iterdir()) == []


def test_a_copy_is_whole_or_not_at_all(database, disk, monkeypatch):
    def full(source, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with local_copy.into(str(disk)):
        with pytest.raises(DataError, match=r"db: cannot be copied to .*disk: No space left on device"):
            local_copy.of(database)
        assert list(disk.iterdir()) == []


def test_a_database_that_is_written_to_meanwhile_is_told(database, disk, monkeypatch):
    copy = shutil.copyfile

    def slow(source, target):
        copy(source, target)
        os.utime(source, (1, 1))

    monkeypatch.setattr(shutil, "copyfile", slow)
    with local_copy.into(str(disk)), pytest.raises(DataError, match="was written to while it was copied"):
        local_copy.of(database)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"-local_copy .*no such folder"), local_copy.into(str(tmp_path / "none")):
        pass


def test_a_source_that_is_not_there_is_for_its_reader_to_tell(tmp_path, disk):
    with local_copy.into(str(disk)):
        assert local_copy.of(tmp_path / "none") == tmp_path / "none"
