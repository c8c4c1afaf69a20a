"""The data layers, against the batches that BVLC Caffe's deliver."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.data.feed import Feed
from engine.errors import LayerError
from engine.net.net import Net
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
        ("batch_size: 1", "", "source is empty"),
        ('source: "raw_lmdb"', "", "batch_size is 0"),
        (
            'batch_size: 2147483647 source: "raw_lmdb"',
            "",
            "a batch of batch_size: 2147483647 records takes 1024.0 GiB of",
        ),
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


REFUSED = {
    'type: "ImageData" top: "d" image_data_param { source: "list.txt" new_height: 3 }': "new_width 0; set both",
    'type: "ImageData" top: "d" image_data_param { source: "gone.txt" }': r"gone\.txt: cannot be read",
    'type: "HDF5Data" top: "data" hdf5_data_param { source: "h5list.txt" batch_size: 1 } '
    "transform_param { scale: 2 }": "transforms only",
    'type: "HDF5Data" top: "data" hdf5_data_param { source: "h5list.txt" }': "batch_size is 0",
    'type: "HDF5Data" top: "data" hdf5_data_param { source: "h5list.txt" batch_size: 1 transform: "data" }': (
        "Give both this and transform_param, or neither"
    ),
    'type: "HDF5Data" top: "data" hdf5_data_param { source: "h5list.txt" batch_size: 1 transform: "dat" }': (
        'transform "dat" is none of its tops'
    ),
    'type: "MemoryData" top: "d" top: "l" memory_data_param { batch_size: 1 channels: 3 height: 2 }': "each must be 1",
    'type: "WindowData" top: "d" top: "l" window_data_param { source: "w" batch_size: 1 }': "crop_size is 0",
    'type: "WindowData" top: "d" top: "l" window_data_param { source: "w" batch_size: 1 context_pad: 4 } '
    "transform_param { crop_size: 8 }": "context_pad 4 leaves nothing",
    'type: "WindowData" top: "d" top: "l" window_data_param { source: "w" batch_size: 1 } '
    "transform_param { crop_size: 8 augmentation { hue: 0.1 } }": "augmentation works on whole pictures",
    'type: "WindowData" top: "d" top: "l" window_data_param { source: "w" batch_size: 1 crop_mode: "round" } '
    "transform_param { crop_size: 8 }": 'crop_mode is "round"; it must be warp or square',
}


@pytest.mark.parametrize("text", REFUSED)
def test_wrong_configurations_are_refused(text, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    with pytest.raises(LayerError, match=rf'layer "d" \(\w+\): .*{REFUSED[text]}'):
        shaped_net(f'layer {{ name: "d" {text} }}')


@pytest.mark.parametrize(
    ("kind", "line", "block"),
    [
        ("ImageData", "a.png 0\n", "image_data_param { %s }"),
        ("WindowData", "# 0\na.png\n3 4 6\n1\n1 1 0 0 3 3\n", "window_data_param { fg_fraction: 1 %s }"),
        ("DenseImageData", "a.png a.png\n", "dense_image_data_param { is_color: false %s }"),
        ("ImageSegData", "a.png 0\n", "image_data_param { label_type: IMAGE %s }"),
        ("ImageLabelmapData", "a.png a.png\n", "image_data_param { is_color: false %s }"),
    ],
)
def test_a_relative_root_folder_is_looked_for_beside_the_prototxt(tmp_path, kind, line, block):
    for folder in ("pics", "lists"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "pics" / "a.png"), np.full((4, 6, 3), 7, np.uint8))
    (tmp_path / "lists" / "l.txt").write_text(line)
    block %= 'source: "lists/l.txt" root_folder: "pics/" batch_size: 1'
    more = "transform_param { crop_size: 4 }" if kind == "WindowData" else ""
    (layer,) = shaped_net(
        f'layer {{ name: "d" type: "{kind}" top: "d" top: "l" {block} {more} }}', tmp_path / "net.prototxt"
    ).sources
    assert (layer.open(seed=1).next()["d"] == 7).all()


def test_a_layer_s_own_random_seed_goes_before_the_run_s(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(256, size=(20, 20, 3), dtype=np.uint8))
    (tmp_path / "l.txt").write_text("a.png 0\n")

    def batch(seed, more):
        (layer,) = shaped_net(
            f"""layer {{ name: "d" type: "ImageData" top: "d" top: "l"
            image_data_param {{ source: "{tmp_path}/l.txt" root_folder: "{tmp_path}/" batch_size: 8 }}
            transform_param {{ mirror: true {more} }} }}"""
        ).sources
        return layer.open(seed).next()["d"]

    assert not np.array_equal(batch(1, ""), batch(2, ""))
    assert np.array_equal(batch(1, "random_seed: 3"), batch(2, "random_seed: 3"))
