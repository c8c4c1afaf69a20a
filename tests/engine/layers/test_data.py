"""The data layers, against the batches that BVLC Caffe's deliver."""

from pathlib import Path

import numpy as np
import pytest

from engine.data.feed import Feed
from engine.errors import LayerError
from engine.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CASES = ["lmdb_plain", "lmdb_wraps", "lmdb_gray", "lmdb_encoded", "lmdb_encoded_force_gray"]
CASES += ["lmdb_mean_values", "lmdb_mean_file_crop", "lmdb_scale_crop", "leveldb_plain"]
CASES += ["image_resize", "image_gray", "image_crop_mean", "image_one_size_varies", "hdf5", "dummy"]


def shaped_net(prototxt: str, path: Path | None = None) -> Net:
    return Net.from_param(text.parse(prototxt, pb.NetParameter), pb.TEST, path=path)


@pytest.mark.parametrize("name", CASES)
def test_batches_equal_caffe_s(name, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    with np.load(f"batches/{name}.npz") as recorded:
        net = shaped_net(str(recorded["prototxt"]))
        (layer,) = net.sources
        feed = Feed({layer.name: layer.open(seed=1)})
        for k in range(1 + max(int(key.split("/")[1]) for key in recorded if key.startswith("batch/"))):
            batch = feed.next()
            for top in layer.config.top:
                want = recorded[f"batch/{k}/{top}"]
                assert batch[top].dtype == np.float32
                assert batch[top].shape == want.shape
                np.testing.assert_allclose(batch[top], want, rtol=1e-6, atol=1e-6)
            if k == 0:
                assert {top: batch[top].shape for top in batch} == net.blob_shapes
        feed.close()


DATA = 'layer {{ name: "mnist" type: "Data" top: "data" top: "label" data_param {{ backend: LMDB {} }} {} }}'


@pytest.mark.parametrize(
    ("data_param", "more", "says"),
    [
        ('batch_size: 1 source: "nowhere"', "", "nowhere: no such folder"),
        ("batch_size: 1", "", "source names nothing"),
        ('source: "raw_lmdb"', "", "batch_size is 0"),
        ('batch_size: 1 source: "raw_lmdb"', "transform_param { crop_size: 99 }", "smaller than crop_size 99"),
        ('batch_size: 1 source: "raw_lmdb"', 'transform_param { mean_file: "gone" }', "gone: cannot be read"),
        ('batch_size: 1 source: "raw_leveldb"', "", "a LevelDB, not an LMDB. Say `backend: LEVELDB`"),
    ],
)
def test_errors_name_the_layer(data_param, more, says, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    with pytest.raises(LayerError, match=rf'layer "mnist" \(Data\): .*{says}'):
        shaped_net(DATA.format(data_param, more))


def test_a_source_beside_the_net_s_file_is_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    net = shaped_net(DATA.format('batch_size: 2 source: "gray_lmdb"', ""), GOLDEN / "train_val.prototxt")
    assert net.blob_shapes["data"] == (2, 1, 28, 28)
