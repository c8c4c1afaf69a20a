import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.data import datum, lmdb_writer
from engine.data.lmdb_reader import LMDB
from engine.data.lmdb_writer import LMDBWriter
from engine.net.net import Net
from engine.net.weights import to_model
from engine.proto import binary, text
from engine.proto import caffe_pb2 as pb
from engine.tools import extract_features, feature_files

NET = """
name: "tiny"
layer { name: "in" type: "Data" top: "x" top: "t" data_param { source: "db" backend: LMDB batch_size: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" include { phase: TRAIN } }
"""
WEIGHTS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
PICTURES = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A net, its model and its three pictures, in the current folder."""
    monkeypatch.chdir(tmp_path)
    with LMDBWriter(tmp_path / "db") as db:
        for i, picture in enumerate(PICTURES):
            db.put(b"%d" % i, datum.raw(picture, i).SerializeToString())
    (tmp_path / "net.prototxt").write_text(NET)
    net = Net.from_param(text.parse(NET, pb.NetParameter), pb.TEST)
    binary.write(tmp_path / "net.caffemodel", to_model(net, [WEIGHTS, np.zeros(3, np.float32)]))
    return tmp_path


def run(*args: str) -> int:
    return extract_features.main(["net.caffemodel", "net.prototxt", *args])


def test_features_of_several_blobs_round_and_round(folder, capsys):
    assert run("y,t", "y.npz,t.npz", "2", "npz") == 0
    rows = PICTURES.reshape(3, 4)[[0, 1, 2, 0]].astype(np.float32)
    with np.load("y.npz") as archive:
        np.testing.assert_allclose(archive["y"], np.maximum(rows @ WEIGHTS.T, 0), rtol=1e-5)
    with np.load("t.npz") as archive:
        assert archive["t"].tolist() == [0, 1, 2, 0]
    said = [line.split("] ", 1)[-1] for line in capsys.readouterr().err.splitlines()]
    assert "Using CPU" in said
    assert said[-6:] == [
        "Opening dataset y.npz",
        "Opening dataset t.npz",
        "Extracting Features",
        "Extracted features of 4 query images for feature blob y",
        "Extracted features of 4 query images for feature blob t",
        "Successfully extracted the features!",
    ]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["y,t", "out", "2", "lmdb"], "the number of blob names and dataset names must be equal"),
        (["y,t", "out,out", "2", "lmdb"], "out,out: names must be different"),
        (["y", "out", "2", "csv"], 'unknown db_type "csv"; it must be one of lmdb, leveldb, hdf5, npz'),
        (["y", "out", "0", "lmdb"], "0 is not in the range x>=1"),
        (["z", "out", "2", "lmdb"], "Unknown feature blob name z in the network tiny"),
        (["y", "db", "2", "lmdb"], "db: already exists"),
        (["y", "out", "2", "lmdb", "TPU"], 'unknown mode "TPU"; give CPU, or GPU'),
    ],
)
def test_bad_arguments_write_nothing(folder, capsys, args, says):
    before = sorted(folder.iterdir())
    assert run(*args) == 2
    assert says in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_without_arguments_it_shows_its_usage(capsys):
    assert extract_features.main([]) == 1
    assert "Usage: extract_features [FLAGS] pretrained_net_param" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["hdf5", "lmdb", "leveldb"])
def test_what_a_killed_process_left_is_gone_in_the_end(folder, kind):
    left = folder / ".out.partial"
    if kind == "hdf5":
        left.write_bytes(b"half of it")
    else:
        left.mkdir()
        (left / "data.mdb").write_bytes(b"half of it")
    before = {*folder.iterdir()} - {left}
    assert run("y", "out", "1", kind) == 0
    assert {*folder.iterdir()} == before | {folder / "out"}


def stopped(monkeypatch, *args, writes=3):
    """Runs the tool, which is interrupted when it has written so many batches."""
    left = iter(range(writes))
    write = feature_files.FeatureDatabase.write

    def interrupted(self, rows):
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(self, rows)

    with monkeypatch.context() as patched:
        patched.setattr(lmdb_writer, "COMMIT_EVERY", 1)
        patched.setattr(feature_files.FeatureDatabase, "write", interrupted)
        assert run(*args) == 130


@pytest.mark.parametrize("writes", [2, 5])
def test_databases_are_gone_on_with(folder, monkeypatch, capsys, writes):
    """Two blobs of two rows a batch, of which one database may be ahead of the other."""
    args = "y,t", "y_lmdb,t_lmdb", "4", "lmdb"
    stopped(monkeypatch, *args, writes=writes)
    assert not (folder / "y_lmdb").exists()
    capsys.readouterr()
    assert run(*args) == 0
    assert f"Continuing after batch {writes // 2}" in capsys.readouterr().err
    assert run("y,t", "y_straight,t_straight", "4", "lmdb") == 0
    for blob in "yt":
        assert list(LMDB(folder / f"{blob}_lmdb").records()) == list(LMDB(folder / f"{blob}_straight").records())
    assert not list(folder.glob(".*partial"))


@pytest.mark.parametrize("changed", ["net", "model", "data"])
def test_what_was_made_of_others_is_begun_anew(folder, monkeypatch, capsys, changed):
    stopped(monkeypatch, "y", "out", "4", "lmdb")
    if changed == "net":
        (folder / "net.prototxt").write_text(NET + "# changed")
    elif changed == "model":
        net = Net.from_param(text.parse(NET, pb.NetParameter), pb.TEST)
        binary.write(folder / "net.caffemodel", to_model(net, [2 * WEIGHTS, np.zeros(3, np.float32)]))
    else:
        shutil.rmtree("db")
        with LMDBWriter(folder / "db") as db:
            db.put(b"0", datum.raw(PICTURES[1], 0).SerializeToString())
    capsys.readouterr()
    assert run("y", "out", "4", "lmdb") == 0
    assert "Going on" not in capsys.readouterr().err
    assert len(list(LMDB(folder / "out").keys())) == 8
