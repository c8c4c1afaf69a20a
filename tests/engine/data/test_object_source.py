"""MS-CNN's ImageGtData: pictures, what is to be learned of them, and the objects."""

import cv2
import numpy as np
import pytest

from engine.data.object_source import ObjectSource, read_objects
from engine.errors import BadRecord, DataError
from engine.proto import caffe_pb2 as pb

FILE = """# 0
a.png
3 32 48
2
1 0 8 4 32 24
2 1 30 10 40 20
1
0 24 8 32
# 1
b.png
3 32 48
0
0
"""
MAPS = {"downsample_rate": [8], "field_h": [20], "field_w": [24]}


@pytest.fixture
def listed(tmp_path):
    """Both grow brighter to the right and downwards."""
    ramp = (np.arange(32)[:, None] * 2 + np.arange(48)).astype(np.uint8)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.repeat(ramp[..., None], 3, -1))
    (tmp_path / "windows.txt").write_text(FILE)
    return tmp_path / "windows.txt"


def source(path, seed=1, transform=None, **param):
    tops = ("data", "label") + (("objects",) if param.get("output_gt_boxes") else ())
    given = pb.ImageGtDataParameter(**{"batch_size": 2} | MAPS | param)
    return ObjectSource(path, tops, given, pb.TransformationParameter(**transform or {}), seed)


def test_whole_pictures_are_as_they_are(listed):
    s = source(listed, output_gt_boxes=True, scale=0.5, transform={"mean_value": [3]})
    batch = s.next()
    ramp = np.arange(32)[:, None] * 2 + np.arange(48)
    np.testing.assert_array_equal(batch["data"][0, 1], (ramp - 3) * 0.5)
    assert batch["label"].shape == s.shapes()[1] == (2, 6, 4, 6)
    assert set(np.unique(batch["label"][:, 0])) == {0, 1}
    rows = batch["objects"].reshape(-1, 7)
    np.testing.assert_array_equal(rows[:2], [[0, 8, 4, 32, 24, 1, 0], [0, 30, 10, 40, 20, 2, 1]])
    assert (rows[2:, 0] == -1).all()
    assert s.record(1).endswith("windows.txt: b.png")


def test_a_part_around_an_object_has_its_boxes(listed):
    s = source(listed, batch_size=1, crop_width=16, crop_height=16, fg_img_multiple=3, output_gt_boxes=True)
    for _ in range(8):
        batch = s.next()
        for row in batch["objects"].reshape(-1, 7):
            if row[0] == 0 and 0 <= row[1] < 16 and 0 <= row[2] < 16:  # the object's corner is where it was
                x, y = (8, 4) if row[5] == 1 else (30, 10)
                assert batch["data"][0, 0, int(row[2]), int(row[1])] == 2 * y + x


def test_mirrored_pictures_have_mirrored_boxes(listed):
    s = source(listed, batch_size=1, output_gt_boxes=True, fg_img_multiple=20, transform={"mirror": True})
    seen = set()
    for _ in range(12):
        batch = s.next()
        first = batch["objects"].reshape(-1, 7)[0]
        seen.add(tuple(first[1:5]))
        assert (batch["data"][0, 0, 0, 0] == 0) == (first[1] == 8)
    assert seen == {(8, 4, 32, 24), (16, 4, 40, 24)}


def test_objects_get_sizes_between_the_least_and_the_most(listed):
    s = source(
        listed,
        batch_size=1,
        **{"resize_width": 96, "resize_height": 64, "crop_width": 48, "crop_height": 32, "fg_img_multiple": 99},
        **{"do_multiple_scale": True, "min_scale": 20, "max_scale": 80, "output_gt_boxes": True},
        **{"min_whaspect": 0.8, "max_whaspect": 1.6},
    )
    widths = set()
    for _ in range(90):
        rows = s.next()["objects"].reshape(-1, 7)
        widths.add(round(float(rows[0, 3] - rows[0, 1]), 3))
    assert 48.0 in widths
    assert len(widths) > 4
    assert 15 < min(widths) < 40 < 60 < max(widths) < 200


def test_it_goes_on_from_a_state(listed):
    first = source(listed, shuffle=True, crop_width=16, crop_height=16)
    first.next()
    state, want = first.state(), first.next()
    other = source(listed, seed=9, shuffle=True, crop_width=16, crop_height=16)
    other.restore(state)
    got = other.next()
    assert all((got[top] == want[top]).all() for top in want)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1 0 8", "0 0 8", ':5: "0" where an object\'s class, 1 or more, should be'),
        ("48\n2\n", "48\n-2\n", ':4: "-2" where the number of objects should be'),
        ("# 1", "1", r':9: "1" where a new picture'),
        ("24 8 32\n", "24 8\n", r":9: \"#\" where a region's y2"),
    ],
)
def test_a_wrong_list_names_the_line(listed, old, new, message):
    listed.write_text(FILE.replace(old, new))
    with pytest.raises(DataError, match=message):
        read_objects(listed)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ({"crop_width": 64, "crop_height": 16}, "cannot be cropped to 16×64"),
        ({"fg_img_multiple": 2**32 - 1}, "4294967295 times .fg_img_multiple."),
        ({"min_whaspect": 0, "max_whaspect": 1}, "min_whaspect is 0 and max_whaspect 1; the first must be above 0"),
        ({"min_whaspect": 1, "max_whaspect": 1.02}, "0.05 or more below the second"),
        ({"do_multiple_scale": True, "min_scale": 9, "max_scale": 3}, "min_scale is 9 and max_scale 3"),
    ],
)
def test_settings_that_do_not_fit_are_refused(listed, param, message):
    with pytest.raises(DataError, match=message):
        source(listed, **param)


def test_one_step_from_the_least_shape_to_the_most_is_enough(listed):
    source(listed, min_whaspect=1, max_whaspect=1.05)  # in float32 less than 0.05 apart


def test_a_picture_that_is_none_is_named(listed):
    (listed.parent / "b.png").write_bytes(b"")
    with pytest.raises(BadRecord, match=r"windows.txt: b\.png: "):
        source(listed).next()
