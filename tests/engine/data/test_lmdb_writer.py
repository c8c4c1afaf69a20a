import itertools
import os
import subprocess
import sys

import pytest

from engine.data.lmdb_reader import LMDB
from engine.data.lmdb_writer import COMMIT_EVERY, LMDBWriter
from engine.errors import DataError

PAIRS = [(b"%08d" % i, b"value %d" % i) for i in range(25)]


def test_the_map_grows_over_many_commits(tmp_path):
    value = os.urandom(20_000)
    with LMDBWriter(tmp_path / "db") as db:
        for i in range(COMMIT_EVERY + 500):
            db.put(b"%08d" % i, value)
    keys = [key for key, _ in LMDB(tmp_path / "db").records()]
    assert keys == [b"%08d" % i for i in range(COMMIT_EVERY + 500)]


def test_an_existing_folder_stays_as_it_is(make_lmdb):
    path = make_lmdb(PAIRS)
    with pytest.raises(DataError, match="is there already"), LMDBWriter(path):
        pass
    assert list(LMDB(path).records()) == PAIRS


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ValueError])
def test_an_interrupted_writer_leaves_nothing(tmp_path, interrupt):
    def write() -> None:
        with LMDBWriter(tmp_path / "db") as db:
            db.put(b"a", b"b")
            raise interrupt

    with pytest.raises(interrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_was_committed_before_a_stop_is_gone_on_with(tmp_path):
    pairs = [(b"%08d" % i, b"value %d" % i) for i in range(COMMIT_EVERY + 10)]
    settings = {"gray": True}

    def stop() -> None:
        with LMDBWriter(tmp_path / "db", settings) as db:
            for key, value in pairs:
                db.put(key, value)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert not (tmp_path / "db").exists()
    with LMDBWriter(tmp_path / "db", settings) as db:
        assert (db.entries, db.last_key) == (COMMIT_EVERY, pairs[COMMIT_EVERY - 1][0])
        for key, value in pairs[db.entries :]:
            db.put(key, value)
    assert list(LMDB(tmp_path / "db").records()) == pairs
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def test_two_cannot_write_one(tmp_path):
    path = tmp_path / "db"
    with LMDBWriter(path) as first:
        first.put(b"key", b"first")
        with pytest.raises(DataError, match="another process"):
            LMDBWriter(path).__enter__()
    assert list(LMDB(path).records()) == [(b"key", b"first")]
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_parent_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*No such file"), LMDBWriter(tmp_path / "nowhere" / "db"):
        pass


def test_a_full_disk_is_an_error_that_leaves_nothing(tmp_path):
    # A limit on the size of files stands in for a full disk: writing beyond it fails with EFBIG.
    script = f"""
import os, resource, signal
from pathlib import Path
from engine.data.lmdb_writer import LMDBWriter
from engine.errors import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    with LMDBWriter(Path({str(tmp_path / "db")!r})) as db:
        for i in range(3000):
            db.put(b"%08d" % i, os.urandom(2000))
except DataError as e:
    print(e)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be written" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_permissions_follow_the_umask(make_lmdb):
    previous = os.umask(0o027)
    try:
        assert make_lmdb(itertools.islice(PAIRS, 1)).stat().st_mode & 0o777 == 0o750
    finally:
        os.umask(previous)
