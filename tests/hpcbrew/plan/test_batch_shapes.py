"""The shapes of batches, told by the first record or picture of their layer."""

from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from engine.data.padded_rows import FEWEST
from engine.errors import LayerError
from engine.graph.build import build_graph
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.plan import batch_shapes

DATA = 'type: "Data" data_param { source: "db" batch_size: 5 backend: LMDB }'
IMAGES = 'type: "ImageData" image_data_param { source: "list" batch_size: 5'


def jpeg(*shape: int) -> bytes:
    return cv2.imencode(".jpg", np.zeros(shape, np.uint8))[1].tobytes()


RAW = pb.Datum(channels=2, height=4, width=6, data=bytes(48))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(jpeg(7, 9, 3))
    (tmp_path / "list").write_text("a.jpg 1\n")
    return tmp_path


def shapes(folder: Path, layer: str, record: pb.Datum = RAW) -> list[tuple[int, ...]] | None:
    with lmdb.open(str(folder / "db"), map_size=2**20) as db, db.begin(write=True) as txn:
        txn.put(b"0", record.SerializeToString())
    net = text.parse(f'layer {{ name: "in" top: "x" top: "label" {layer} }}', pb.NetParameter)
    (node,) = build_graph(net, pb.NetState(phase=pb.TRAIN)).nodes
    return batch_shapes.tops(node, folder / "net.prototxt")


@pytest.mark.parametrize(
    ("layer", "record", "found"),
    [
        (DATA, RAW, (5, 2, 4, 6)),
        (DATA + "transform_param { crop_size: 3 }", RAW, (5, 2, 3, 3)),
        (DATA, pb.Datum(encoded=True, data=jpeg(5, 8, 3)), (5, 3, 5, 8)),
        (DATA, pb.Datum(encoded=True, data=jpeg(5, 8)), (5, 1, 5, 8)),
        (IMAGES + "}", RAW, (5, 3, 7, 9)),
        (IMAGES + " is_color: false }", RAW, (5, 1, 7, 9)),
        (IMAGES + " new_height: 2 new_width: 3 }", RAW, (5, 3, 2, 3)),
    ],
)
def test_pictures_have_the_size_of_the_first(
    folder: Path, layer: str, record: pb.Datum, found: tuple[int, ...]
) -> None:
    assert shapes(folder, layer, record) == [found, (5,)]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("crop_size: 3 mean_value: 1 mean_value: 2", (5, 2, 3, 3)),
        ("crop_size: 3 force_color: true", (5, 3, 3, 3)),
        ("crop_size: 3 force_gray: true", (5, 1, 3, 3)),
        ("crop_size: 3 mean_value: 1", None),  # may be of all channels
        ("mean_value: 1 mean_value: 2", None),
    ],
)
def test_of_records_that_are_not_here_the_transformation_tells(
    folder: Path, fields: str, found: tuple[int, ...] | None
) -> None:
    layer = DATA.replace('"db"', '"/not/here"') + f"transform_param {{ {fields} }}"
    assert shapes(folder, layer) == (found and [found, (5,)])


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("resize_param { height: 3 width: 7 } mean_value: 1 mean_value: 2 mean_value: 3", (5, 3, 3, 7)),
        ("resize_param { height: 3 width: 7 } crop_size: 2 force_color: true", (5, 3, 2, 2)),
        ("resize_param { height: 3 width: 7 } resize_param { height: 5 width: 5 } force_color: true", None),
    ],
)
def test_pictures_with_boxes_have_the_size_that_they_are_resized_to(
    folder: Path, fields: str, found: tuple[int, ...] | None
) -> None:
    layer = DATA.replace('"Data"', '"AnnotatedData"') + f"transform_param {{ {fields} }}"
    assert shapes(folder, layer) == (found and [found])  # whether there are boxes only the records tell
    boxes = [found, (1, 1, FEWEST, 8)]
    assert shapes(folder, layer + "annotated_data_param { anno_type: BBOX }") == (found and boxes)


def test_pictures_with_maps_to_be_learned_have_the_size_of_their_crop(folder: Path) -> None:
    layer = """type: "ImageGtData" image_gt_data_param { batch_size: 5 resize_width: 96 resize_height: 64 %s
      downsample_rate: [8, 16] field_h: [40, 80] field_w: [40, 80] output_gt_boxes: true }"""
    cropped = [(5, 3, 32, 48), (5, 6, 4, 6), (5, 6, 2, 3), (8, 7, 1, 1)]
    assert shapes(folder, layer % "crop_width: 48 crop_height: 32") == cropped
    assert (shapes(folder, layer % "") or [])[0] == (5, 3, 64, 96)
    assert (shapes(folder, layer % "crop_width: 48") or [])[0] == (5, 3, 64, 96)  # one alone is not obeyed
    assert shapes(folder, 'type: "ImageGtData" image_gt_data_param { batch_size: 5 }') is None
    with pytest.raises(LayerError, match="do not divide into a map with downsample_rate 8"):
        shapes(folder, layer % "crop_width: 44 crop_height: 32")


@pytest.mark.parametrize(
    ("layer", "record"),
    [
        (DATA, pb.Datum(encoded=True, data=b"no picture")),
        (DATA, pb.Datum(channels=3, height=-8, width=8)),
        ('type: "HDF5Data"', RAW),
        (DATA.replace("LMDB", "LEVELDB"), RAW),
    ],
)
def test_what_only_the_layer_can_tell_is_not_told(folder: Path, layer: str, record: pb.Datum) -> None:
    assert shapes(folder, layer, record) is None


@pytest.mark.parametrize("layer", [DATA.replace("5", "0"), f"{IMAGES} }}".replace("5", "0")])
def test_a_batch_of_nothing_is_refused(folder: Path, layer: str) -> None:
    with pytest.raises(LayerError, match="batch_size is 0 or not given"):
        shapes(folder, layer)
