"""The databases that Caffe's `backend` names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.data.databases import Database, DatabaseWriter
from engine.data.leveldb import LevelDB
from engine.data.leveldb_writer import LevelDBWriter
from engine.data.lmdb_reader import LMDB
from engine.data.lmdb_writer import LMDBWriter

READERS: Mapping[str, Callable[[Path], Database]] = {"lmdb": LMDB, "leveldb": LevelDB}
WRITERS: Mapping[str, Callable[..., DatabaseWriter]] = {"lmdb": LMDBWriter, "leveldb": LevelDBWriter}


def opened(path: Path) -> Database:
    """The LMDB or LevelDB in a folder, whichever it is. Raises DataError if it is neither."""
    return LevelDB(path) if (path / "CURRENT").is_file() else LMDB(path)
