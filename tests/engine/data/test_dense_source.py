"""Pictures with a label for each of their places, as DenseImageData, ImageSegData and
ImageLabelmapData read them."""

import cv2
import numpy as np
import pytest

from engine.data.dense_source import DenseCut, DenseSource, PairList
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.proto import text

COUNT = 5


@pytest.fixture
def listed(tmp_path):
    """A list of five 4 × 6 pictures; place (r, c) of each holds 10 r + c, and its label is the same, plus 100."""
    places = (10 * np.arange(4)[:, None] + np.arange(6)).astype(np.uint8)
    for i in range(COUNT):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.repeat(places[:, :, None], 3, 2))
        cv2.imwrite(str(tmp_path / f"{i}_labels.png"), places + 100)
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{i}.png {i}_labels.png\n" for i in range(COUNT)))
    return path


def source(pairs, param="", tops=("data", "label", "size"), **options):
    cut = {name: options.pop(name) for name in ("crop", "anywhere", "mirror", "fill", "factors") if name in options}
    param = text.parse(param, pb.TransformationParameter)
    return DenseSource(
        pairs, tops, 2, DenseCut(param, **{"crop": None, "anywhere": True, "mirror": False, **cut}), 1, **options
    )


def test_picture_and_labels_stay_together(listed):
    s = source(PairList(listed), crop=(2, 3), mirror=True)
    assert s.shapes() == [(2, 3, 2, 3), (2, 1, 2, 3), (2, 1, 1, 2)]
    batches = [s.next() for _ in range(10)]
    for batch in batches:
        assert np.array_equal(batch["data"][:, :1] + 100, batch["label"])
    assert len({batch["label"].tobytes() for batch in batches}) > 5
    assert len({float(np.sign(b["label"][0, 0, 0, 1] - b["label"][0, 0, 0, 0])) for b in batches}) == 2


def test_mean_and_scale_are_the_pictures_alone(listed):
    batch = source(PairList(listed), "mean_value: 10 scale: 0.5", divisor=50).next()
    assert batch["data"][0, 0, 1, 1] == 0.5
    assert batch["label"][0, 0, 1, 1] == 2


@pytest.mark.parametrize("size", [None, (8, 12)])
def test_edges_are_what_is_nearer_to_white_as_opencv_divides(listed, size):
    batch = source(PairList(listed, edges=True), size=size).next()
    drawn = cv2.imread(str(listed.parent / "0_labels.png"), cv2.IMREAD_GRAYSCALE)
    drawn = drawn if size is None else cv2.resize(drawn, size[::-1])
    assert {0, 1} == set(batch["label"].ravel())
    assert np.array_equal(batch["label"][0, 0], cv2.divide(drawn, 255.0))


def test_a_small_picture_is_filled_up_with_the_mean_and_the_ignored_label(listed):
    batch = source(PairList(listed), "mean_value: 10", crop=(6, 6), anywhere=False, fill=255).next()
    assert not batch["data"][:, :, 4:].any()
    assert (batch["label"][:, :, 4:] == 255).all()
    assert batch["size"].tolist() == [[[[4, 6]]]] * 2


def test_factors_stretch_both(listed):
    batch = source(PairList(listed), factors=(2.0,)).next()
    assert batch["data"].shape == (2, 3, 8, 12)
    assert set(np.unique(batch["label"])) == {100 + 10 * r + c for r in range(4) for c in range(6)}


@pytest.mark.parametrize(("kind", "line", "label"), [("IMAGE", "0.png 7", 7), ("NONE", "0.png", 9)])
def test_one_label_may_count_for_all_places(listed, kind, line, label):
    listed.write_text(line + "\n")
    assert (source(PairList(listed, "", kind, 9)).next()["label"] == label).all()


def test_a_restored_source_goes_on_where_the_other_was(listed):
    first, second = (source(PairList(listed), crop=(2, 2), shuffle=True, rand_skip=3) for _ in range(2))
    first.next()
    second.restore(first.state())
    assert np.array_equal(first.next()["label"], second.next()["label"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "lists no pictures"),
        ("0.png\n", r'list.txt:1: "0.png" is not a file name, a blank and the file of its labels'),
        ("0.png none.png\n", r"0.png: its labels, none.png: cannot be read"),
        ("0.png other.png\n", r"is 4×6 and its labels, other.png, 2×2"),
    ],
)
def test_what_is_wrong_is_named(listed, lines, message):
    cv2.imwrite(str(listed.parent / "other.png"), np.zeros((2, 2), np.uint8))
    listed.write_text(lines)
    with pytest.raises(DataError, match=message):
        source(PairList(listed)).next()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"param": 'mean_file: "m"'}, "mean_file is not for pictures with a label per pixel"),
        ({"factors": (0.0,)}, "must lie between 0 and 100"),
        ({"rand_skip": 10**6}, "Not enough points to skip: rand_skip 1000000 has drawn"),
    ],
)
def test_what_cannot_be_done_is_refused(listed, options, message):
    with pytest.raises(DataError, match=message):
        source(PairList(listed), **options).next()


def test_a_crop_larger_than_the_picture_is_refused_where_nothing_fills_up(listed):
    with pytest.raises(DataError, match="smaller than the crop of 5×5"):
        source(PairList(listed), crop=(5, 5)).next()
