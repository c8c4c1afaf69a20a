"""What the log says of data layers, as BVLC Caffe's does."""

from pathlib import Path

import pytest

from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def said(monkeypatch, kind: str, block: str, *tops: str) -> list[str]:
    monkeypatch.chdir(GOLDEN)
    named = " ".join(f'top: "{top}"' for top in tops or ("data", "label"))
    param = text.parse(f'layer {{ name: "d" type: "{kind}" {named} {block} }}', pb.NetParameter)
    (layer,) = Net.from_param(param, pb.TRAIN).layers
    return [f"{where}] {message}" for where, message, _ in layer.setup_log]


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_a_database(monkeypatch, backend):
    block = f'data_param {{ source: "raw_{backend}" backend: {backend.upper()} batch_size: 3 }}'
    line = {"lmdb": "db_lmdb.cpp:35", "leveldb": "db_leveldb.cpp:18"}[backend]
    assert said(monkeypatch, "Data", f'{block} transform_param {{ mean_file: "mean.binaryproto" }}') == [
        f"{line}] Opened {backend} raw_{backend}",
        "data_transformer.cpp:25] Loading mean file from: mean.binaryproto",
        "data_layer.cpp:45] output data size: 3,3,32,32",
    ]


def test_a_list_of_pictures(monkeypatch):
    count = len((GOLDEN / "list.txt").read_text().splitlines())
    block = 'image_data_param { source: "list.txt" batch_size: 2 new_height: 8 new_width: 9 shuffle: true }'
    assert said(monkeypatch, "ImageData", block) == [
        "image_data_layer.cpp:38] Opening file list.txt",
        "image_data_layer.cpp:53] Shuffling data",
        f"image_data_layer.cpp:63] A total of {count} images.",
        "image_data_layer.cpp:90] output data size: 2,3,8,9",
    ]


@pytest.mark.parametrize("kind", ["ImageData", "DenseImageData"])
def test_a_rand_skip_that_may_lead_beyond_the_list(monkeypatch, tmp_path, kind):
    block = {"ImageData": "image_data_param", "DenseImageData": "dense_image_data_param"}[kind]
    name = (GOLDEN / "list.txt").read_text().split()[0]
    (tmp_path / "list.txt").write_text(f"{name} {name if kind != 'ImageData' else 0}\n")
    assert (
        "image_data_layer.cpp:71] rand_skip is 2 for a list of length 1: a run that draws 1 or more to skip fails. "
        "Set it to at most 1."
    ) in said(monkeypatch, kind, f'{block} {{ source: "{tmp_path}/list.txt" batch_size: 1 rand_skip: 2 }}')


def test_a_list_of_hdf5_files(monkeypatch):
    assert said(monkeypatch, "HDF5Data", 'hdf5_data_param { source: "h5list.txt" batch_size: 2 }') == [
        "hdf5_data_layer.cpp:81] Loading list of HDF5 filenames from: h5list.txt",
        "hdf5_data_layer.cpp:95] Number of HDF5 files: 2",
    ]


def test_a_file_of_windows(monkeypatch, tmp_path):
    windows = "# 0\na.png\n3 9 9\n3\n2 0.9 0 0 5 5\n2 1 1 1 5 5\n0 0.1 0 0 3 3\n# 1\nb.png\n3 9 9\n1\n1 0.8 0 0 8 8\n"
    (tmp_path / "w.txt").write_text(windows)
    block = f'window_data_param {{ source: "{tmp_path}/w.txt" batch_size: 4 context_pad: 1 root_folder: "p/" }}'
    assert said(monkeypatch, "WindowData", f"{block} transform_param {{ crop_size: 8 }}") == [
        "window_data_layer.cpp:53] Window data layer:\n  foreground (object) overlap threshold: 0.5\n"
        "  background (non-object) overlap threshold: 0.5\n  foreground sampling fraction: 0.25\n  cache_images: 0\n"
        "  root_folder: p/",
        "window_data_layer.cpp:157] Number of images: 2",
        "window_data_layer.cpp:161] class 0 has 1 samples",
        "window_data_layer.cpp:161] class 1 has 1 samples",
        "window_data_layer.cpp:161] class 2 has 2 samples",
        "window_data_layer.cpp:165] Amount of context padding: 1",
        "window_data_layer.cpp:168] Crop mode: warp",
        "window_data_layer.cpp:180] output data size: 4,3,8,8",
    ]
