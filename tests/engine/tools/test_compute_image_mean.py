from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.data import datum
from engine.data.backends import WRITERS
from engine.proto import binary
from engine.proto import caffe_pb2 as pb
from engine.tools import compute_image_mean

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def run(*args: object) -> int:
    return compute_image_mean.main([str(arg) for arg in args])


def made(path: Path, *records: pb.Datum, backend: str = "lmdb") -> Path:
    with WRITERS[backend](path) as db:
        for i, record in enumerate(records):
            db.put(b"%08d" % i, record.SerializeToString())
    return path


def test_the_mean_is_that_of_caffe_s_own_tool_byte_for_byte(tmp_path):
    assert run(GOLDEN / "raw_lmdb", tmp_path / "mean.binaryproto") == 0
    assert (tmp_path / "mean.binaryproto").read_bytes() == (GOLDEN / "mean.binaryproto").read_bytes()


@pytest.mark.parametrize("backend", WRITERS)
def test_the_log_has_caffe_s_lines(tmp_path, capsys, backend):
    pictures = [np.full((2, 4, 5), i, np.uint8) for i in (3, 4)]
    for picture in pictures:
        picture[1] += 100
    database = made(tmp_path / "db", *(datum.raw(picture, 0) for picture in pictures), backend=backend)
    assert run("-backend", backend, database, tmp_path / "mean") == 0
    assert [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines()] == [
        "Starting iteration",
        "Processed 2 files.",
        f"Write to {tmp_path / 'mean'}",
        "Number of channels: 2",
        "mean_value channel [0]: 3.5",
        "mean_value channel [1]: 103.5",
    ]


def test_many_records_are_counted_and_summed_exactly(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compute_image_mean, "EVERY", 100)
    values = np.random.default_rng(0).integers(0, 256, 250)
    database = made(tmp_path / "db", *(datum.raw(np.full((1, 1, 1), v, np.uint8), 0) for v in values))
    assert run(database, tmp_path / "mean") == 0
    assert binary.read(tmp_path / "mean", pb.BlobProto).data == [np.float32(values.sum() / 250)]
    said = capsys.readouterr().err
    assert [n for n in (100, 200, 250, 300) if f"Processed {n} files." in said] == [100, 200, 250]


def test_encoded_and_float_records(tmp_path, capsys):
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    encoded = datum.encoded(cv2.imencode(".png", pixels)[1].tobytes(), 0)
    assert run(made(tmp_path / "encoded", encoded), tmp_path / "mean") == 0
    assert "Decoding Datum" in capsys.readouterr().err
    assert binary.read(tmp_path / "mean", pb.BlobProto).data == list(range(24))
    floats = [pb.Datum(channels=1, height=1, width=2, float_data=row) for row in ((0.5, 1), (1, -2))]
    assert run(made(tmp_path / "float", *floats), tmp_path / "mean") == 0
    assert binary.read(tmp_path / "mean", pb.BlobProto).data == [0.75, -0.5]


def test_bad_input(tmp_path, capsys):
    sizes = made(tmp_path / "sizes", *(datum.raw(np.zeros((1, n, 4), np.uint8), 0) for n in (3, 3, 5)))
    broken = made(tmp_path / "broken", pb.Datum(channels=1, height=9, width=9, data=b"few"))
    for args, says in (
        ((sizes, tmp_path / "mean"), 'sizes: record "00000002": Incorrect data field size 20: it is 1×5×4'),
        ((broken,), 'broken: record "00000000": says 1×9×9'),
        ((tmp_path / "gone",), "gone: no such folder"),
        (("-backend=leveldb", sizes), "an LMDB, not a LevelDB"),
        ((sizes, tmp_path / "no" / "mean"), "mean: cannot be written: no such folder"),
    ):
        assert run(*args) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()
    assert run() == 1
    assert "Usage: compute_image_mean [FLAGS] INPUT_DB [OUTPUT_FILE]" in capsys.readouterr().err
