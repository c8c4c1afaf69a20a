import contextlib
import os
import shutil
import struct
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


def _piece(data: bytes, kind: int = 1, name: str = "*.log"):
    """Puts a piece of a log with its checksum in place of the log `name`."""
    head = struct.pack("<IHB", leveldb.masked_crc(bytes([kind]) + data), len(data), kind)
    return lambda folder: next(folder.glob(name)).write_bytes(head + data)


BATCH = bytes(8) + b"\1\0\0\0"
"""The head of a batch of one entry."""


def _table(folder: Path) -> Path:
    return sorted(folder.glob("*.ldb"))[0]


def test_tables_by_their_old_name(folder):
    _table(folder).rename(_table(folder).with_suffix(".sst"))
    assert list(LevelDB(folder).records()) == _expected()


def test_a_log_with_a_name_of_no_number_is_none(folder):
    (folder / "².log").write_bytes(b"not a log")
    assert list(LevelDB(folder).records()) == _expected()


def test_a_log_cut_short_loses_its_last_batch_alone(folder):
    (log,) = folder.glob("*.log")
    log.write_bytes(log.read_bytes()[:-10])
    assert list(LevelDB(folder).records()) == _expected()[:-1]


def test_no_folder_can_have_so_long_a_name(tmp_path):
    with pytest.raises(DataError, match="nnn: no such folder"):
        LevelDB(tmp_path / ("n" * 300))


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
        (lambda f: _table(f).write_bytes(bytes(_table(f).stat().st_size)), "damaged .*is not a table"),
        (lambda f: next(f.glob("MANIFEST*")).write_bytes(b"garbage" * 99), "MANIFEST-000018 is cut short"),
        (lambda f: os.truncate(next(f.glob("MANIFEST*")), 150), "MANIFEST-000018 is cut short"),
        (_piece(b"\xff" * 11, name="MANIFEST*"), "more than 64 bits"),
        (_piece(b"\0", kind=7), "byte 0 does not match its checksum"),
        (_piece(BATCH + b"\2\1a"), "an entry of kind 2"),
        (_piece(BATCH, kind=3), "000020.log has a record without its beginning"),
        (_piece(BATCH, kind=2, name="MANIFEST*"), "MANIFEST-000018 is cut short"),
        (lambda f: os.truncate(next(f.glob("*.log")), 1 << 40), "bytes, but at most .* are read"),
        (lambda f: ((f / "CURRENT").unlink(), os.mkfifo(f / "CURRENT")), "no file CURRENT"),
    ],
)
def test_what_is_no_whole_database_is_named(folder, damage, says):
    damage(folder)
    with pytest.raises(DataError, match=rf"(?s)db.*{says}"):
        list(LevelDB(folder).records())


@pytest.mark.parametrize("name", ["*.log", "MANIFEST*", "*.ldb"])
def test_no_bit_that_is_read_can_be_flipped_unseen(folder, name):
    path = sorted(folder.glob(name))[0]
    good, expected = path.read_bytes(), _expected()
    for at in range(0, len(good), 1 + len(good) // 200):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
        with contextlib.suppress(DataError):
            # Blocks of filters and the padding before a table's magic are not read.
            silent = list(LevelDB(folder).records()) == expected and name == "*.ldb" and at > 0.8 * len(good)
            assert silent, at


def test_every_length_in_a_log_is_checked(folder):
    (log,) = folder.glob("*.log")
    good = log.read_bytes()
    at = 0
    while at < len(good):
        length = int.from_bytes(good[at + 4 : at + 6], "little")
        for bit in range(0, 16, 3):
            damaged = (length ^ 1 << bit).to_bytes(2, "little")
            log.write_bytes(good[: at + 4] + damaged + good[at + 6 :])
            with pytest.raises(DataError, match=f"000020.log: the data at byte {at:,} does not match its checksum"):
                LevelDB(folder)
        at += 7 + length


def test_room_set_aside_at_the_end_of_a_log_is_no_damage(folder):
    (log,) = folder.glob("*.log")
    log.write_bytes(log.read_bytes() + bytes(40_000))
    assert list(LevelDB(folder).records()) == _expected()


def test_blocks_that_say_they_unpack_to_more_than_snappy_can_make():
    with pytest.raises(ValueError, match="5 bytes claims to unpack to 4,294,967,295"):
        leveldb._unpacked(b"\xff\xff\xff\xff\x0f", 1)
