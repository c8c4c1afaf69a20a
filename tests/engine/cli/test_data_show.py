"""caffe data show."""

import cv2
import h5py
import numpy as np
import pytest

from engine.cli import main

NET = """
layer { name: "train" type: "HDF5Data" top: "data" top: "label" include { phase: TRAIN }
        hdf5_data_param { source: "list.txt" batch_size: 2 transform: "data" }
        transform_param { scale: 2 mirror: true } }
layer { name: "test" type: "HDF5Data" top: "label" include { phase: TEST }
        hdf5_data_param { source: "list.txt" batch_size: 2 } }
layer { name: "other" type: "HDF5Data" top: "data" include { phase: TEST }
        hdf5_data_param { source: "list.txt" batch_size: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "label" top: "ip" inner_product_param { num_output: 1 } }
"""


@pytest.fixture(autouse=True)
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("a.h5", "w") as file:
        file["data"] = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 1, 2, 2)
        file["label"] = np.arange(3)
    (tmp_path / "list.txt").write_text("a.h5\n")
    (tmp_path / "net.prototxt").write_text(NET)


def test_a_sheet_of_what_the_layer_hands_out(capsys, tmp_path):
    assert main(["data", "show", "net.prototxt", "-n", "3", "-out=first.png"]) == 0
    assert capsys.readouterr().out == (
        'first.png: 3 pictures of layer "train" in TRAIN, the first of 1×2×2 (channels × height × width); '
        "0 is black, 22 white.\n"
    )
    image = cv2.imread(str(tmp_path / "first.png"))
    assert image.shape == (2 * 114 + 4, 2 * 100 + 4, 3)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["-phase", "TEST"], "name one data layer with -layer; the net's data layers in this phase are: test, other."),
        (["-layer", "ip"], 'there is no data layer "ip"; the net\'s data layers in this phase are: train.'),
        (["-phase", "TEST", "-layer", "test"], 'layer "test" (HDF5Data): none of its tops is pictures'),
        (["-out", "gone/x.png"], "gone/x.png: cannot be written"),
        (["-n", "0"], "-n: 0 is not in the range"),
    ],
)
def test_what_cannot_be_shown(args, says, capsys, tmp_path):
    assert main(["data", "show", "net.prototxt", *args]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.png"))
