import json

import cv2
import numpy as np
import pytest

from engine.data.datum import raw
from engine.data.datum_source import DatumSource
from engine.data.lmdb_reader import LMDB
from engine.data.transform import Transform
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb


def source(path, batch_size=4, tops=("data", "label"), seed=1, phase=pb.TRAIN, rand_skip=0, **param):
    return DatumSource(
        LMDB(path), tops, batch_size, Transform(pb.TransformationParameter(**param), phase), seed, rand_skip
    )


def test_batches_go_round_and_round(make_lmdb, digits):
    s = source(make_lmdb(digits))
    assert s.shapes() == [(4, 1, 4, 5), (4,)]
    labels = [s.next()["label"].tolist() for _ in range(4)]
    assert labels == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1], [2, 3, 4, 5]]


def test_a_batch_larger_than_the_database(make_lmdb, digits):
    assert source(make_lmdb(digits[:3]), batch_size=7).next()["label"].tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_pixels_go_with_their_labels(make_lmdb, digits):
    batch = source(make_lmdb(digits)).next()
    assert np.array_equal(batch["data"][:, 0, 0, 0], batch["label"])


def test_one_top_has_no_labels(make_lmdb, digits):
    s = source(make_lmdb(digits), tops=("data",))
    assert s.shapes() == [(4, 1, 4, 5)]
    assert list(s.next()) == ["data"]


@pytest.mark.parametrize("read", [0, 1, 3, 5])
def test_a_restored_source_goes_on_with_the_same_batches(make_lmdb, digits, read):
    path = make_lmdb(digits)
    s = source(path, crop_size=3, mirror=True)
    for _ in range(read):
        s.next()
    again = source(path, seed=2, crop_size=3, mirror=True)
    again.restore(json.loads(json.dumps(s.state())))
    for _ in range(4):
        want, got = s.next(), again.next()
        assert np.array_equal(got["data"], want["data"])
        assert np.array_equal(got["label"], want["label"])


@pytest.mark.parametrize(("read", "skipped"), [(0, 0), (0, 1), (1, 2), (2, 7)])
def test_skipping_leads_to_where_reading_does(make_lmdb, digits, read, skipped):
    path = make_lmdb(digits)
    one, other = (source(path, crop_size=3, mirror=True) for _ in range(2))
    for _ in range(read):
        one.next()
        other.next()
    one.skip(skipped)
    for _ in range(skipped):
        other.next()
    assert one.state() == other.state()
    assert np.array_equal(one.next()["data"], other.next()["data"])


def test_rand_skip_starts_inside_and_a_restored_source_there_too(make_lmdb, digits):
    path = make_lmdb(digits)
    first = [source(path, batch_size=1, rand_skip=5, seed=seed).next()["label"][0] for seed in range(40)]
    assert set(first) == {0, 1, 2, 3, 4}
    again = source(path, batch_size=1)
    again.restore(source(path, batch_size=1, rand_skip=5, seed=3).state())
    assert again.next()["label"][0] == first[3]


def test_every_thread_s_part_is_in_its_place(make_lmdb):
    pictures = [np.full((3, 64, 64), i, np.uint8) for i in range(11)]
    batch = source(make_lmdb(raw(p, i) for i, p in enumerate(pictures)), batch_size=11).next()
    assert np.array_equal(batch["data"], np.array(pictures, np.float32))


@pytest.mark.parametrize("size", [5, 64])
def test_a_picture_of_another_size_names_its_record(make_lmdb, size):
    records = [raw(np.zeros((3, size, size), np.uint8), 0) for _ in range(6)]
    records[4] = raw(np.zeros((3, size, 6), np.uint8), 0)
    with pytest.raises(
        DataError, match=f'db: record "00000004": is 3×{size}×6 .* first of its batch is 3×{size}×{size}'
    ):
        source(make_lmdb(records), batch_size=6).next()


def test_pictures_may_change_size_between_batches(make_lmdb):
    s = source(make_lmdb([raw(np.zeros((1, 2, i + 1), np.uint8), 0) for i in range(3)]), batch_size=1)
    assert [s.next()["data"].shape for _ in range(3)] == [(1, 1, 2, 1), (1, 1, 2, 2), (1, 1, 2, 3)]


def test_encoded_pictures_of_many_sizes_are_cropped_to_one(make_lmdb):
    pictures = [np.full((60 + i, 50, 3), i, np.uint8) for i in range(8)]
    records = [
        pb.Datum(encoded=True, data=cv2.imencode(".png", p)[1].tobytes(), label=i) for i, p in enumerate(pictures)
    ]
    batch = source(make_lmdb(records), batch_size=8, crop_size=40).next()
    assert batch["data"].shape == (8, 3, 40, 40)
    assert np.array_equal(batch["data"].mean((1, 2, 3)), batch["label"])


@pytest.mark.parametrize("value", [b"garbage", b"", raw(np.zeros((1, 4, 5), np.uint8), 0).SerializeToString()[:-6]])
def test_a_garbage_record_names_itself(make_lmdb, digits, value):
    path = make_lmdb([*digits[:2], (b"broken", value)])
    with pytest.raises(DataError, match='db: record "broken"'):
        source(path).next()


def test_a_first_record_that_is_too_small_for_the_crop(make_lmdb, digits):
    with pytest.raises(DataError, match='record "00000000": is 4×5, smaller than crop_size 9'):
        source(make_lmdb(digits), crop_size=9).shapes()


@pytest.mark.parametrize("after", ["\u20ac", "gone", 7, ["x"]])
def test_a_position_that_no_database_has(make_lmdb, digits, after):
    s = source(make_lmdb(digits))
    with pytest.raises(DataError, match=r"cannot be a key|has no record"):
        _next_behind(s, after)


def _next_behind(s, after):
    s.restore({"after": after, "batches": 0, "seed": 0})
    s.next()


@pytest.mark.parametrize("passed", [0, 3])
@pytest.mark.parametrize("skipped", [0, 1, 5, 6, 7, 16, 17, 18, 25, 10**12 + 3])
def test_any_number_of_records_is_gone_past(make_lmdb, digits, passed, skipped):
    s = source(make_lmdb(digits), batch_size=1, tops=("data", "label"))
    s.skip(passed)
    s.skip(skipped)
    assert s.next()["label"].tolist() == [(passed + skipped) % 10]
