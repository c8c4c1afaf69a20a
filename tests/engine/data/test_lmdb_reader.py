"""LMDB read as its own library reads it, and whatever a file holds, words or records: never a signal, never no end."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.lmdb_reader import LMDB
from engine.data.lmdb_writer import LMDBWriter
from engine.errors import DataError

PAIRS = [(b"%08d" % i, b"value %d" % i) for i in range(25)]
DAMAGED = Path(__file__).parent / "damaged_lmdb"


def test_records_come_in_the_order_of_their_keys(make_lmdb):
    assert list(LMDB(make_lmdb(reversed(PAIRS))).records()) == PAIRS


def test_records_go_on_behind_a_key(make_lmdb):
    db = LMDB(make_lmdb(PAIRS))
    assert list(db.records(PAIRS[9][0])) == PAIRS[10:]
    assert list(db.records(PAIRS[-1][0])) == []


def test_a_position_of_another_database_is_an_error(make_lmdb):
    with pytest.raises(DataError, match='no record "elsewhere"'):
        next(LMDB(make_lmdb(PAIRS)).records(b"elsewhere"))


def test_two_readers_share_a_database(make_lmdb):
    path = make_lmdb(PAIRS)
    first, second = LMDB(path), LMDB(path)
    first.close()
    assert len(list(second.records())) == second.entries == len(PAIRS)


def test_a_read_only_folder_is_read_and_left_as_it_is(make_lmdb):
    path = make_lmdb(PAIRS)
    (path / "lock.mdb").unlink()
    path.chmod(0o555)
    assert len(list(LMDB(path).records())) == len(PAIRS)
    assert [p.name for p in path.iterdir()] == ["data.mdb"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "no such folder"),
        (lambda p: p.write_bytes(b"x"), "a file, where a database is a folder"),
        (lambda p: p.mkdir(), "an empty folder"),
        (lambda p: _with(p, "train.txt", b"a.png 1"), "no data.mdb among train.txt"),
        (lambda p: _with(p, "CURRENT", b"MANIFEST-000007\n"), "backend: LEVELDB"),
        (lambda p: _with(p, "data.mdb", b""), "data.mdb: an empty file"),
        (lambda p: _with(p, "data.mdb", b"no database at all " * 1000), "not an LMDB that can be read"),
        (lambda p: LMDBWriter(p).__enter__().__exit__(None, None, None), "without records"),
    ],
)
def test_what_is_no_database_is_named(tmp_path, make, says):
    path = tmp_path / "mnist_train_lmdb"
    make(path)
    with pytest.raises(DataError, match=f"mnist_train_lmdb.*{says}"):
        LMDB(path)


@pytest.mark.parametrize("kept", [100, 4096, 5000, 8192, 20_000])
def test_a_file_cut_short_is_an_error_and_no_crash(make_lmdb, kept):
    path = make_lmdb((key, bytes(500)) for key, _ in PAIRS)
    os.truncate(path / "data.mdb", kept)
    script = f"""
from pathlib import Path
from engine.data.lmdb_reader import LMDB
from engine.errors import DataError
try:
    list(LMDB(Path({str(path)!r})).records())
except DataError as e:
    print(e)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "data.mdb: " in done.stdout


def _with(folder: Path, name: str, data: bytes) -> None:
    folder.mkdir()
    (folder / name).write_bytes(data)


KEYS = st.binary(min_size=1, max_size=200)


@given(st.lists(st.tuples(KEYS, st.binary(max_size=9000), st.booleans()), min_size=1, max_size=120))
@settings(deadline=None)
def test_any_database_is_read_as_by_the_library(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("db")
    with lmdb.open(str(path), map_size=1 << 24, sync=False) as env:
        for i, (key, value, kept) in enumerate(changes):
            with env.begin(write=True) as txn:
                txn.put(key, value * (1 + i % 3))
                if not kept and i:
                    txn.delete(changes[i // 2][0])
        with env.begin() as txn:
            expected = list(txn.cursor())
    if not expected:
        with pytest.raises(DataError, match="without records"):
            LMDB(path)
        return
    db = LMDB(path)
    assert list(db.records()) == expected
    assert list(db.keys()) == [key for key, _ in expected]
    for i in range(0, len(expected), 7):
        assert list(db.records(expected[i][0])) == expected[i + 1 :]
        assert list(db.keys(expected[i][0])) == [key for key, _ in expected[i + 1 :]]
    db.close()
    shutil.rmtree(path)


def test_a_deep_tree(tmp_path):
    pairs = [(b"%0200d" % i, b"%d" % i) for i in range(3000)]
    with LMDBWriter(tmp_path / "db") as writer:
        for key, value in random.Random(1).sample(pairs, len(pairs)):
            writer.put(key, value)
    db = LMDB(tmp_path / "db")
    assert list(db.records()) == pairs
    for i in (0, 1, 17, 1499, 2998, 2999):
        assert list(db.records(pairs[i][0])) == pairs[i + 1 :]
    with pytest.raises(DataError, match="no record"):
        next(db.records(b"0"))


def test_no_folder_can_have_so_long_a_name(tmp_path):
    with pytest.raises(DataError, match="nnn: no such folder"):
        LMDB(tmp_path / ("n" * 300))


def test_a_user_may_open_it_too(make_lmdb):
    path = make_lmdb(PAIRS)
    db = LMDB(path)
    records = db.records()
    assert next(records) == PAIRS[0]
    with lmdb.open(str(path), readonly=True) as env:
        assert env.stat()["entries"] == len(PAIRS)
    assert list(records) == PAIRS[1:]


def test_a_database_that_is_written_to_meanwhile(make_lmdb):
    path = make_lmdb((b"%08d" % i, bytes(3000)) for i in range(500))
    db = LMDB(path)
    records = db.records()
    next(records)
    with lmdb.open(str(path)) as env:
        for n in range(2):
            assert {value for _, value in db.records()} == {bytes(3000)}, "as it was when it was opened"
            with env.begin(write=True) as txn:
                for i in range(50):
                    txn.put(b"%08d" % i, bytes([n + 1]) * 2000)
    with pytest.raises(
        DataError, match=r"was written to while it was read. Stop what writes to it, or give the net a copy"
    ):
        list(records)
    assert len(list(LMDB(path).records())) == 500


def test_what_is_read_beside_a_writer_is_right_or_an_error(make_lmdb):
    """A process that writes without a pause: a record is whole or there is an error, however it falls."""
    path = make_lmdb((b"%08d" % i, bytes([i % 256]) * 500) for i in range(300))
    script = f"""
import lmdb, random
env = lmdb.open({str(path)!r}, map_size=1 << 26, sync=False)
while True:
    with env.begin(write=True) as txn:
        for _ in range(20):
            i = random.randrange(300)
            txn.put(b"%08d" % i, bytes([random.randrange(256)]) * random.choice([10, 500, 9000]))
"""
    writer = subprocess.Popen([sys.executable, "-c", script])
    refused = 0
    try:
        for _ in range(300):
            try:
                for key, value in LMDB(path).records():
                    assert len(key) == 8
                    assert len(set(value)) == 1
            except DataError:
                refused += 1
    finally:
        writer.kill()
        writer.wait()
    assert refused


@pytest.mark.parametrize("path", sorted(DAMAGED.iterdir()), ids=lambda p: p.name)
def test_damage_is_told(path):
    """What ended processes by SIGABRT and SIGBUS, and what never ended."""
    with pytest.raises(DataError, match=f"{path.name}: damaged"):
        list(LMDB(path).records())


def test_another_order(make_lmdb):
    path = make_lmdb(PAIRS)
    with (path / "data.mdb").open("r+b") as file:
        for meta in (0, 4096):
            file.seek(meta + 92)
            file.write(b"\2")  # MDB_REVERSEKEY
    with pytest.raises(DataError, match="must be sorted by the bytes of their keys"):
        LMDB(path)


def test_databases_with_names(tmp_path):
    with lmdb.open(str(tmp_path), max_dbs=1) as env, env.begin(write=True) as txn:
        txn.put(b"a", b"b", db=env.open_db(b"train", txn))
    with pytest.raises(DataError, match="holds named databases"):
        list(LMDB(tmp_path).records())


@pytest.mark.parametrize("count", [1, 2, 5, 3000])
def test_some_records_of_all_places(tmp_path, count):
    """The first and the last are among them; so are all of a small database, and those with values in own pages."""
    with lmdb.open(str(tmp_path / "db"), map_size=2**26) as db, db.begin(write=True) as txn:
        for i in range(count):
            txn.put(f"{i:08}".encode(), bytes([i % 256]) * (5000 if i % 3 else 9))
    reader = LMDB(tmp_path / "db")
    everything, found = list(reader.records()), list(reader.spread(20))
    assert [record for record in everything if record in found] == found
    assert (found[0], found[-1], len(found)) == (everything[0], everything[-1], min(count, 20))


@pytest.mark.parametrize("kind", ["branch", "leaf"])
@pytest.mark.parametrize("way", ["records", "behind a key", "spread"])
def test_a_page_that_points_to_nothing_is_told(make_lmdb, kind, way):
    keys = [b"%08d" % i for i in range(500)]
    path = make_lmdb((key, bytes(100)) for key in keys)
    data = bytearray((path / "data.mdb").read_bytes())
    for page in range(2 * 4096, len(data), 4096):
        if data[page + 10] == {"branch": 1, "leaf": 2}[kind]:
            data[page + 12] = 17  # where its pointers end: one byte behind the header of 16
            data[page + 13] = 0
    (path / "data.mdb").write_bytes(data)
    reader = LMDB(path)
    found = {"records": reader.records(), "behind a key": reader.records(keys[9]), "spread": reader.spread(5)}
    with pytest.raises(DataError, match="is not what it should be"):
        list(found[way])
