import os
import random

import pytest

from engine.data import leveldb_writer
from engine.data.leveldb import LevelDB
from engine.data.leveldb_writer import LevelDBWriter
from engine.errors import DataError

RANDOM = random.Random(1)
PAIRS = [
    (b"%08d_%s" % (i, b"x" * (i % 40)), RANDOM.randbytes(RANDOM.choice([0, 1, 800, 70_000])) + bytes(300))
    for i in range(200)
]
SETTINGS = {"gray": True}


def write(path, pairs, settings=None):
    with LevelDBWriter(path, settings) as db:
        for key, value in pairs:
            db.put(key, value)


def stop(path, pairs, settings=None):
    """Writes, and is stopped by Ctrl-C."""
    with LevelDBWriter(path, settings) as db:
        for key, value in pairs:
            db.put(key, value)
        raise KeyboardInterrupt


@pytest.fixture
def small_tables(monkeypatch):
    monkeypatch.setattr(leveldb_writer, "TABLE", 1 << 20)


def test_what_is_written_is_read(tmp_path, small_tables):
    write(tmp_path / "db", PAIRS)
    assert list(LevelDB(tmp_path / "db").records()) == PAIRS
    assert list(LevelDB(tmp_path / "db").records(after=PAIRS[150][0])) == PAIRS[151:]
    names = sorted(path.name for path in (tmp_path / "db").iterdir())
    assert names == [*(f"{i:06}.ldb" for i in range(1, len(names) - 1)), "CURRENT", f"MANIFEST-{len(names) - 1:06}"]
    assert len(names) > 4
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def test_many_tables_are_named_by_a_manifest_of_several_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(leveldb_writer, "TABLE", 1)
    monkeypatch.setattr(leveldb_writer, "BLOCK", 1)
    pairs = [(b"%08d" % i + bytes(200), b"value") for i in range(100)]
    write(tmp_path / "db", pairs)
    (manifest,) = (tmp_path / "db").glob("MANIFEST-*")
    assert manifest.stat().st_size > 32768
    assert list(LevelDB(tmp_path / "db").records()) == pairs


def test_a_process_that_was_stopped_is_gone_on_with(tmp_path, small_tables):
    with pytest.raises(KeyboardInterrupt):
        stop(tmp_path / "db", PAIRS[:150], SETTINGS)
    assert not (tmp_path / "db").exists()
    with LevelDBWriter(tmp_path / "db", SETTINGS) as db:
        assert 0 < db.entries < 150
        assert db.last_key == PAIRS[db.entries - 1][0]
        for key, value in PAIRS[db.entries :]:
            db.put(key, value)
    assert list(LevelDB(tmp_path / "db").records()) == PAIRS
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def test_without_settings_nothing_is_left_of_it(tmp_path, small_tables):
    with pytest.raises(KeyboardInterrupt):
        stop(tmp_path / "db", PAIRS)
    assert list(tmp_path.iterdir()) == []


def test_keys_out_of_order_are_refused(tmp_path):
    for second in (b"2", b"1"):
        with pytest.raises(DataError, match=f'"{second.decode()}" comes after "2"'):
            write(tmp_path / "db", [(b"2", b""), (second, b"")])


def test_an_existing_database_and_a_missing_folder(tmp_path):
    write(tmp_path / "db", PAIRS[:1])
    with pytest.raises(DataError, match="is there already"):
        write(tmp_path / "db", PAIRS)
    with pytest.raises(DataError, match=r"nowhere: cannot be written: No such file"):
        write(tmp_path / "nowhere" / "db", PAIRS)
    assert list(LevelDB(tmp_path / "db").records()) == PAIRS[:1]


def test_values_that_repeat_are_compressed(tmp_path):
    write(tmp_path / "db", [(b"%02d" % i, bytes(100_000)) for i in range(20)])
    assert sum(path.stat().st_size for path in (tmp_path / "db").iterdir()) < 200_000
    write(tmp_path / "random", [(b"%02d" % i, os.urandom(1000)) for i in range(20)])
    assert sum(path.stat().st_size for path in (tmp_path / "random").iterdir()) > 20_000
