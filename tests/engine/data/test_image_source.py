import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.data.datum import Colour
from engine.data.image_source import ImageSource, read_picture
from engine.data.transform import Transform
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

COUNT = 7


@pytest.fixture
def listed(tmp_path) -> Path:
    """A list of seven 4×5 pictures; the i-th is all i, and its label is i."""
    for i in range(COUNT):
        cv2.imwrite(str(tmp_path / f"a {i}.png"), np.full((4, 5, 3), i, np.uint8))
    path = tmp_path / "list.txt"
    path.write_text("".join(f"a {i}.png {i}\n" for i in range(COUNT)))
    return path


def source(path, batch_size=3, seed=1, **options):
    return ImageSource(
        path, ("data", "label"), batch_size, Transform(pb.TransformationParameter(), pb.TRAIN), seed, **options
    )


def labels(s, batches):
    return [int(label) for _ in range(batches) for label in s.next()["label"]]


def test_pictures_come_in_order_round_and_round_from_beside_the_list(listed):
    s = source(listed)
    assert s.shapes() == [(3, 3, 4, 5), (3,)]
    assert labels(s, 3) == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    batch = s.next()
    assert np.array_equal(batch["data"][:, 0, 0, 0], batch["label"])


def test_shuffling_gives_each_epoch_whole_and_in_another_order(listed):
    seen = labels(source(listed, shuffle=True), COUNT)
    epochs = [seen[i : i + COUNT] for i in range(0, len(seen), COUNT)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert seen == labels(source(listed, shuffle=True), COUNT)
    assert seen != labels(source(listed, shuffle=True, seed=2), COUNT)


def test_several_labels_a_picture(listed):
    listed.write_text("a 1.png 1 0.5\na 2.png 2 -3\n")
    s = source(listed, num_labels=2)
    assert s.shapes() == [(3, 3, 4, 5), (3, 2)]
    batch = s.next()
    assert batch["label"].tolist() == [[1, 0.5], [2, -3], [1, 0.5]]
    assert batch["data"][:, 0, 0, 0].tolist() == [1, 2, 1]


def test_several_labels_that_were_not_asked_for(listed):
    listed.write_text("a 1.png 1 0.5 7\n")
    with pytest.raises(DataError, match=r"a 1\.png 1 0\.5: cannot be read: .* num_labels must say how many"):
        source(listed).shapes()


def test_rand_skip_starts_inside(listed):
    assert {labels(source(listed, seed=seed, rand_skip=3), 1)[0] for seed in range(30)} == {0, 1, 2}


def test_a_restored_source_goes_on_with_the_same_pictures(listed):
    s = source(listed, shuffle=True, rand_skip=5)
    labels(s, 4)
    again = source(listed, seed=9, shuffle=True)
    again.restore(json.loads(json.dumps(s.state())))
    assert labels(again, 5) == labels(s, 5)


def test_skipping_leads_to_where_reading_does(listed):
    one, other = source(listed, shuffle=True), source(listed, shuffle=True)
    one.skip(4)
    labels(other, 4)
    assert labels(one, 5) == labels(other, 5)


def test_grey_and_resized(listed):
    s = source(listed, colour=Colour.GREY, size=(6, 8))
    assert s.shapes() == [(3, 1, 6, 8), (3,)]
    assert s.next()["data"].shape == (3, 1, 6, 8)


def test_the_root_folder_is_put_before_the_names(listed, tmp_path):
    elsewhere = tmp_path / "lists" / "list.txt"
    elsewhere.parent.mkdir()
    listed.rename(elsewhere)
    assert labels(source(elsewhere, root_folder=f"{tmp_path}/"), 1) == [0, 1, 2]


def test_bad_pictures_are_named(listed):
    (listed.parent / "a 4.png").write_bytes(b"no picture")
    s = source(listed)
    s.next()
    with pytest.raises(DataError, match=r"list\.txt: a 4\.png: holds 10 bytes that are not a picture"):
        s.next()
    (listed.parent / "a 4.png").unlink()
    with pytest.raises(DataError, match=r"list\.txt: a 4\.png: cannot be read: No such file"):
        s.next()


@pytest.mark.parametrize("name", [b"caf\xe9.png", "one\u2028two.png".encode(), b"tab\there.png"])
def test_any_name_of_a_picture(tmp_path, name):
    cv2.imwrite(str(tmp_path / "p.png"), np.full((4, 5, 3), 7, np.uint8))
    (tmp_path / "p.png").rename(tmp_path / os.fsdecode(name))
    (tmp_path / "list.txt").write_bytes(name + b" 3\r\n")
    batch = source(tmp_path / "list.txt", batch_size=1).next()
    assert batch["data"].max() == 7
    assert batch["label"].tolist() == [3]


def test_what_is_no_picture_file_is_told_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    told = {"pipe": "is a pipe", "/dev/zero": "is a device", ".": "is a folder", "x" * 300: "too long"}
    for name, says in told.items():
        (tmp_path / "list.txt").write_text(f"{name} 0\n")
        with pytest.raises(DataError, match=says):
            source(tmp_path / "list.txt").shapes()


def test_a_size_that_memory_does_not_hold(listed):
    with pytest.raises(DataError, match=r"a 0\.png: stretched to 4294967295×4294967295 it takes 48.0 EiB of memory"):
        source(listed, size=(2**32 - 1, 2**32 - 1)).shapes()
    with pytest.raises(DataError, match=r"a 0\.png: .*stretch(ed)? .*4294967295×1"):
        source(listed, size=(2**32 - 1, 1)).shapes()


def test_pictures_of_two_sizes_in_a_batch(listed):
    cv2.imwrite(str(listed.parent / "a 2.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(DataError, match=r"a 2\.png: is 3×9×9 .* first of its batch is 3×4×5"):
        source(listed).next()


def test_a_rand_skip_beyond_the_list_is_refused_where_the_number_drawn_is(listed):
    begun = []
    for seed in range(30):
        s = source(listed, seed=seed, rand_skip=2 * COUNT)
        try:
            begun.append(int(s.next()["label"][0]))
        except DataError as e:
            assert "list.txt: Not enough points to skip: rand_skip 14 has drawn" in str(e)  # noqa: PT017
    assert set(begun) == set(range(COUNT))
    assert 5 < len(begun) < 25


def test_stretching_is_bilinear(tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), np.array([[0, 100]], np.uint8))
    assert read_picture(tmp_path / "p.png", Colour.GREY, (1, 4)).tolist() == [[[0, 25, 75, 100]]]
