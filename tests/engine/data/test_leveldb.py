import contextlib
import os
import shutil
from pathlib import Path

import pytest

from engine.data import leveldb
from engine.data.leveldb import LevelDB
from engine.errors import DataError

STORED = Path(__file__).parent / "leveldb"


def _value(i: int, sitting: int) -> bytes:
    return b"%d of write %d;" % (i, sitting) * 20


def _expected() -> list[tuple[bytes, bytes]]:
    values = {i: _value(i, 1) for i in range(300)}
    values |= {i: _value(i, 2) for i in range(0, 300, 2)}
    for i in range(0, 300, 5):
        del values[i]
    values |= {i: _value(i, 4) for i in range(0, 300, 7)}
    del values[1]
    values[400] = b"long" * 20000
    return [(b"%04d" % i, value) for i, value in sorted(values.items())]


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(STORED, tmp_path / "db")
    return tmp_path / "db"


def test_the_newest_entries_come_from_every_level_and_the_log():
    assert list(LevelDB(STORED).records()) == _expected()


def test_records_go_on_behind_any_key():
    db, expected = LevelDB(STORED), _expected()
    for i in (0, 1, 100, len(expected) - 2, len(expected) - 1):
        assert list(db.records(expected[i][0])) == expected[i + 1 :]


@pytest.mark.parametrize("key", [b"0001", b"0000x", b"zz"])
def test_a_position_that_is_not_there_is_an_error(key):
    with pytest.raises(DataError, match=f'no record "{key.decode()}"'):
        next(LevelDB(STORED).records(key))


def test_a_read_only_folder_is_left_as_it_is(folder):
    for path in (*folder.iterdir(), folder):
        path.chmod(path.stat().st_mode & ~0o222)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())
    assert len(list(LevelDB(folder).records())) == len(_expected())
    assert sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir()) == before


BATCH = bytes(4) + b"\x0f\0\1" + bytes(8) + b"\1\0\0\0"
"""The head of a log's record of 15 bytes, which is a batch of one entry."""


def _table(folder: Path) -> Path:
    return sorted(folder.glob("*.ldb"))[0]


def test_tables_by_their_old_name(folder):
    _table(folder).rename(_table(folder).with_suffix(".sst"))
    assert list(LevelDB(folder).records()) == _expected()


def test_a_log_cut_short_loses_its_last_batch_alone(folder):
    (log,) = folder.glob("*.log")
    log.write_bytes(log.read_bytes()[:-10])
    assert list(LevelDB(folder).records()) == _expected()[:-1]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda f: (shutil.rmtree(f), f.write_bytes(b"x")), "a file, where a LevelDB is a folder"),
        (lambda f: (f / "CURRENT").unlink(), "no file CURRENT"),
        (lambda f: ((f / "CURRENT").unlink(), (f / "data.mdb").touch()), "backend: LMDB"),
        (
            lambda f: (f / "CURRENT").write_text("MANIFEST-999999\n"),
            'CURRENT names "MANIFEST-999999", which is not there',
        ),
        (lambda f: (f / "CURRENT").write_text("../MANIFEST-1"), "which is not there"),
        (lambda f: _table(f).unlink(), r"ldb: missing\. Copy"),
        (lambda f: _table(f).write_bytes(_table(f).read_bytes()[:-1]), "bytes where the manifest says"),
        (lambda f: _table(f).write_bytes(bytes(_table(f).stat().st_size)), "damaged .*is no table"),
        (lambda f: next(f.glob("MANIFEST*")).write_bytes(b"garbage" * 99), "the manifest is cut short"),
        (lambda f: next(f.glob("MANIFEST*")).write_bytes(bytes(4) + b"\x0b\0\1" + b"\xff" * 11), "more than 64 bits"),
        (lambda f: next(f.glob("MANIFEST*")).write_bytes(bytes(4) + b"\1\0\7\0"), "a record of kind 7 in a log"),
        (lambda f: next(f.glob("*.log")).write_bytes(BATCH + b"\2\1a"), "an entry of kind 2"),
        (lambda f: os.truncate(next(f.glob("*.log")), 1 << 40), "bytes, and at most .* are read"),
        (lambda f: ((f / "CURRENT").unlink(), os.mkfifo(f / "CURRENT")), "no file CURRENT"),
    ],
)
def test_what_is_no_whole_database_is_named(folder, damage, says):
    damage(folder)
    with pytest.raises(DataError, match=rf"(?s)db.*{says}"):
        list(LevelDB(folder).records())


def test_blocks_overwritten_are_an_error_and_nothing_else(folder):
    table = _table(folder)
    good = table.read_bytes()
    for at in range(0, len(good), 97):
        table.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        with contextlib.suppress(DataError):
            list(LevelDB(folder).records())


def test_blocks_that_say_they_unpack_to_more_than_snappy_can_make():
    with pytest.raises(ValueError, match="5 bytes that are to make 4,294,967,295"):
        leveldb._unpacked(b"\xff\xff\xff\xff\x0f", 1)
