"""Detections are written as SSD writes them."""

import json

import numpy as np
import pytest

from engine.data.detection_files import DetectionFiles
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

FOUND = np.float32([[0, 1, 0.9, 0.1, 0.2, 0.5, 0.61], [0, 2, 0.123456789, -1, 0, 2, 1], [1, 1, 0.5, 0, 0, 1, 1]])


@pytest.fixture
def files(tmp_path):
    def made(**fields):
        items = 'item { name: "none" label: 0 } item { name: "cat" label: 1 } item { name: "7" label: 2 }'
        (tmp_path / "map").write_text(items, encoding="utf-8")
        (tmp_path / "sizes").write_text("000012 100 200\n13 50 50\n", encoding="utf-8")
        p = pb.SaveOutputParameter(output_directory=str(tmp_path / "a" / "b"), output_name_prefix="p_", **fields)
        return DetectionFiles(p, [1, 2], tmp_path / "map", tmp_path / "sizes")

    return made


def test_voc_has_a_file_a_class(files, tmp_path):
    saved = files(output_format="VOC")
    saved.add(1, FOUND[:2])
    assert not (tmp_path / "a").exists()  # not before all pictures are there
    saved.add(1, np.float32([[0, *FOUND[2, 1:]]]))
    assert (tmp_path / "a/b/p_cat.txt").read_text() == "000012 0.9 20 20 100 61\n13 0.5 0 0 50 50\n"
    assert (tmp_path / "a/b/p_7.txt").read_text() == "000012 0.123457 0 0 200 100\n"


def test_coco_has_a_list(files, tmp_path):
    files(output_format="COCO").add(2, FOUND)
    first, second, third = json.loads((tmp_path / "a/b/p_.json").read_text())
    assert first["image_id"] == "000012"
    assert first["category_id"] == "cat"
    assert first["bbox"] == pytest.approx([20, 20, 80, 41], abs=1e-4)
    assert (second["category_id"], third["image_id"]) == (7, 13)


def test_ilsvrc_has_a_file_and_numbers_of_classes(files, tmp_path):
    files(output_format="ILSVRC", num_test_image=1).add(2, FOUND)
    assert (tmp_path / "a/b/p_.txt").read_text() == "000012 1 0.5 0 0 200 100\n"  # the second pass took its place


def test_names_of_pictures_keep_their_bytes(files, tmp_path):
    (saved := files(output_format="ILSVRC")).names[0] = "caf\udce9"
    saved.add(2, FOUND[:1])
    assert (tmp_path / "a/b/p_.txt").read_bytes().startswith(b"caf\xe9 1 0.9 ")


def test_a_pass_without_finds_leaves_empty_files(files, tmp_path):
    files(output_format="VOC").add(2, FOUND[:0])
    assert (tmp_path / "a/b/p_cat.txt").read_text() == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"output_format": "XML"}, 'output_format is "XML"; it must be one of VOC, COCO, ILSVRC'),
        ({"output_format": "VOC", "num_test_image": 3}, "num_test_image is 3, and .* names 2 pictures"),
    ],
)
def test_what_cannot_be_obeyed_is_told(files, fields, said):
    with pytest.raises(DataError, match=said):
        files(**fields)


def test_a_folder_that_cannot_be_made_is_told(files, tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(DataError, match="a/b: cannot be written"):
        files(output_format="VOC").add(2, FOUND)
