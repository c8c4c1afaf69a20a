"""Databases that the tests of this folder read."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from engine.data.datum import raw
from engine.data.lmdb_writer import LMDBWriter
from engine.proto import caffe_pb2 as pb


@pytest.fixture
def make_lmdb(tmp_path: Path) -> Callable[..., Path]:
    """Makes an LMDB of (key, value) pairs, or of Datum records with the keys 00000000, 00000001, …"""

    def make(records: Iterable[pb.Datum | tuple[bytes, bytes]], name: str = "db") -> Path:
        path = tmp_path / name
        with LMDBWriter(path) as db:
            for i, record in enumerate(records):
                db.put(*(record if isinstance(record, tuple) else (b"%08d" % i, record.SerializeToString())))
        return path

    return make


@pytest.fixture
def digits() -> list[pb.Datum]:
    """Ten 1×4×5 records; the i-th is all i, and its label is i."""
    return [raw(np.full((1, 4, 5), i, np.uint8), i) for i in range(10)]
