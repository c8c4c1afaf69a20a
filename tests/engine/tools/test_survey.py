"""What is found in a database."""

import cv2
import numpy as np
import pytest

from engine.data import datum
from engine.data.backends import WRITERS, opened
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.tools.survey import survey


def database(path, records, backend="lmdb"):
    with WRITERS[backend](path) as db:
        for i, record in enumerate(records):
            db.put(b"%08d" % i, record if isinstance(record, bytes) else record.SerializeToString())
    return opened(path)


def jpeg(seed=0):
    noise = np.random.default_rng(seed).integers(256, size=(40, 40, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_records_are_counted_by_size_form_and_label(tmp_path, backend):
    raw = [datum.raw(np.full((1, 4, 5), i, np.uint8), i % 3) for i in range(200)]
    png = cv2.imencode(".png", np.zeros((6, 7, 3), np.uint8))[1].tobytes()
    encoded = [datum.encoded(png, 7), datum.encoded(jpeg(), 7)]
    found = survey(database(tmp_path / "db", [*raw, *encoded, datum.floats(np.full((1, 2, 2), 0.5), 9)], backend), 3)
    assert (found.records, found.broken) == (203, 0)
    assert found.shapes == {(1, 4, 5): 200, (3, 6, 7): 1, (3, 40, 40): 1, (1, 2, 2): 1}
    assert found.forms == {"raw": 200, "PNG": 1, "JPEG": 1, "float": 1}
    assert found.labels == {0: 67, 1: 67, 2: 66, 7: 2, 9: 1}
    assert found.means[1] == pytest.approx([(sum(range(200)) + 0.5) / 201])
    assert [(s.labels, s.pixels.flat[0]) for s in found.samples] == [((0,), 0), ((1,), 1), ((2,), 2)]
    assert found.boxes is None


def annotated(picture, *boxes):
    record = pb.AnnotatedDatum(datum=picture, type=pb.AnnotatedDatum.BBOX)
    for label, xmin in boxes:
        group = record.annotation_group.add(group_label=label)
        group.annotation.add(bbox=pb.NormalizedBBox(xmin=xmin, ymin=0, xmax=1, ymax=1))
    return record


def test_the_classes_of_boxes_are_counted(tmp_path):
    picture = datum.encoded(jpeg(), 0)
    records = [annotated(picture, (3, 0), (5, 0.5)), annotated(picture, (3, 0.25)), annotated(picture)]
    broken = [annotated(picture, (3, np.nan)), annotated(datum.encoded(b"no picture", 0), (3, 0)), b"\x0a\x7f"]
    told = {}
    found = survey(database(tmp_path / "db", records + broken), 3, broken=told.__setitem__)
    assert (found.records, found.broken, found.boxes) == (6, 3, 3)
    assert (found.labels, found.forms) == ({3: 2, 5: 1}, {"JPEG": 3})
    assert [s.labels for s in found.samples] == [(3, 5), (3,), ()]
    for reason, said in zip(told.values(), ("not finite", "not a picture", "not an AnnotatedDatum"), strict=True):
        assert said in reason


def test_what_cannot_be_used_is_named(tmp_path):
    records = [
        datum.raw(np.zeros((1, 2, 2), np.uint8), 0),
        b"\xff\xff",
        datum.encoded(b"no picture", 1),
        datum.encoded(jpeg()[:-900], 1),
        datum.floats(np.array([[[1, np.nan]]]), 1),
    ]
    told = {}
    found = survey(database(tmp_path / "db", records), broken=told.__setitem__)
    assert (found.records, found.broken, sum(found.shapes.values())) == (5, 4, 1)
    assert list(told) == ["00000001", "00000002", "00000003", "00000004"]
    for key, reason in {
        "1": "not a Datum",
        "2": "not a picture",
        "3": "a damaged JPEG: libjpeg says",
        "4": "not finite",
    }.items():
        assert reason in told[f"0000000{key}"]


def test_a_folder_without_a_database_is_refused(tmp_path):
    with pytest.raises(DataError, match="an empty folder"):
        opened(tmp_path)
