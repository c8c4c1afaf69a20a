from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.data.annotated_source import AnnotatedSource
from engine.data.annotation import boxes_of
from engine.data.datum import pixels
from engine.data.lmdb_reader import LMDB
from engine.data.transform import Transform
from engine.proto import caffe_pb2 as pb
from engine.tools import convert_annoset


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Three pictures of 6×8, and boxes of the first two; the list names boxes of all."""
    monkeypatch.chdir(tmp_path)
    for i in range(3):
        cv2.imwrite(f"{i}.png", np.full((6, 8, 3), i, np.uint8))
        if i < 2:
            (tmp_path / f"{i}.txt").write_text(f"{i + 1} 0 0 4 3\n" * (i + 1))
    (tmp_path / "list").write_text("".join(f"{i}.png {i}.txt\n" for i in range(3)))
    return tmp_path


def run(*args):
    return convert_annoset.main([*map(str, args), "./", "list", "db"])


def records():
    database = LMDB(Path("db"))
    try:
        return [(key, pb.AnnotatedDatum.FromString(value)) for key, value in database.records()]
    finally:
        database.close()


def test_pictures_are_written_with_their_boxes(pictures):
    assert run("-anno_type", "detection", "-label_type", "txt") == 0
    keys, made = zip(*records(), strict=True)
    assert keys == (b"00000000_0.png", b"00000001_1.png", b"00000002_2.png")
    assert [boxes_of(record).tolist() for record in made] == [
        [[1, 0, 0, 0, 0.5, 0.5, 0]],
        [[2, 0, 0, 0, 0.5, 0.5, 0], [2, 1, 0, 0, 0.5, 0.5, 0]],
        [],
    ]
    assert all(record.type == pb.AnnotatedDatum.BBOX and record.HasField("type") for record in made)
    assert [pixels(record.datum).max() for record in made] == [0, 1, 2]


def test_what_is_written_is_read_by_annotated_data(pictures):
    assert run("-anno_type", "detection", "-label_type", "txt", "-encoded") == 0
    param, own = pb.TransformationParameter(), pb.AnnotatedDataParameter()
    transform = Transform(param, pb.TRAIN)
    source = AnnotatedSource(LMDB(Path("db")), ("data", "boxes"), 3, transform, 1, param=param, own=own)
    batch = source.next()
    assert batch["data"].shape == (3, 3, 6, 8)
    assert batch["boxes"][0, 0, :4, :2].tolist() == [[0, 1], [1, 2], [1, 2], [-1, -1]]
    source.close()


def test_labels_are_written_where_there_are_no_boxes(pictures):
    (pictures / "list").write_text("0.png 7\n1.png 8\n")
    assert run() == 0
    assert [(record.datum.label, record.HasField("type")) for _, record in records()] == [(7, False), (8, False)]


@pytest.mark.parametrize(
    ("flags", "shape"),
    [
        (("-min_dim", 12), (12, 16)),
        (("-max_dim", 4), (3, 4)),
        (("-min_dim", 12, "-max_dim", 12), (9, 12)),
        (("-resize_height", 5, "-resize_width", 7), (5, 7)),
    ],
)
def test_pictures_are_of_the_size_that_is_asked_and_boxes_parts_of_them(pictures, flags, shape):
    assert run("-anno_type", "detection", "-label_type", "txt", *flags) == 0
    record = records()[0][1]
    assert (record.datum.height, record.datum.width) == shape
    assert boxes_of(record)[0, 2:6].tolist() == [0, 0, 0.5, 0.5]


def test_pixels_lie_by_the_factor_that_sides_are_stretched_by(pictures):
    picture = np.random.default_rng(0).integers(0, 256, (23, 44, 3)).astype(np.uint8)
    cv2.imwrite("0.png", picture)
    assert run("-anno_type", "detection", "-label_type", "txt", "-min_dim", "50") == 0
    factor = float(np.float32(50) / np.float32(23))
    want = cv2.resize(picture, None, fx=factor, fy=factor)
    assert np.array_equal(pixels(records()[0][1].datum).transpose(1, 2, 0), want)


@pytest.mark.parametrize(
    ("lines", "flags", "said"),
    [
        ("a.png\n", ("-label_type", "txt"), "list:1: 1 words found"),
        ("", ("-label_type", "txt"), "list"),
        ("0.png 0.txt\n", (), "-label_map_file is required"),
        ("0.png list\n", ("-label_type", "txt"), "line 1 has 2 words"),
    ],
)
def test_what_cannot_be_converted_is_told_and_leaves_nothing(pictures, capsys, lines, flags, said):
    (pictures / "list").write_text(lines)
    assert run("-anno_type", "detection", *flags) != 0
    assert said in capsys.readouterr().err
    assert not (pictures / "db").exists()
