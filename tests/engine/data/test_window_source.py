import cv2
import numpy as np
import pytest

from engine.data import window_source
from engine.data.transform import Transform
from engine.data.window_source import WindowSource, read_windows
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

HEIGHT, WIDTH = 20, 30
FILE = """# 0
a.png
3 20 30
3
2 0.9 4 2 11 9
1 0.6 0 0 29 19
0 0.1 20 10 27 17
# 1
b.png
3 20 30
1
0 0.0 1 1 8 8
"""


@pytest.fixture
def listed(tmp_path):
    """Picture a grows brighter to the right, b downwards; four windows."""
    ramp = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    for name, values in (("a", ramp % WIDTH * 8), ("b", ramp // WIDTH * 10)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.repeat(values[..., None], 3, -1).astype(np.uint8))
    (tmp_path / "windows.txt").write_text(FILE)
    return tmp_path / "windows.txt"


def source(path, transform=None, seed=1, **param):
    param = {"batch_size": 4, "fg_fraction": 0.5} | param
    transform = {"crop_size": 8} | (transform or {})
    made = Transform(pb.TransformationParameter(**transform), pb.TRAIN)
    return WindowSource(path, ("data", "label"), pb.WindowDataParameter(**param), made, seed)


def test_background_comes_first_then_the_share_of_objects(listed):
    s = source(listed, batch_size=8, fg_fraction=0.25)
    assert s.shapes() == [(8, 3, 8, 8), (8,)]
    for _ in range(5):
        labels = s.next()["label"]
        assert np.all(labels[:6] == 0)
        assert np.all(labels[6:] > 0)


def test_a_window_of_the_crop_s_size_is_cut_as_it_is(listed):
    s = source(listed, fg_threshold=0.8, batch_size=2, transform={"mean_value": [5], "scale": 0.5})
    batch = s.next()
    assert batch["label"][1] == 2
    want = (np.arange(4, 12) * 8 - 5) * 0.5
    assert np.array_equal(batch["data"][1], np.broadcast_to(want, (3, 8, 8)))
    assert s.record(1).endswith("window 4 2 11 9 of a.png")


def test_mirroring_flips_about_half(listed):
    s = source(listed, fg_threshold=0.8, batch_size=2, transform={"mirror": True})
    rows = [s.next()["data"][1, 0, 0] for _ in range(40)]
    rising = sum(bool(np.all(np.diff(row) > 0)) for row in rows)
    assert 10 < rising < 30
    assert all(np.array_equal(np.sort(row), np.arange(4, 12) * 8) for row in rows)


def test_context_beyond_the_picture_is_zero_and_the_rest_surrounds_the_window(listed):
    listed.write_text("# 0\nb.png\n3 20 30\n2\n1 1 0 0 5 5\n0 0 8 8 9 9\n")
    data = source(listed, batch_size=1, fg_fraction=1, context_pad=1).next()["data"][0, 0]
    assert np.all(data[0] == 0)
    assert np.all(data[:, 0] == 0)
    assert np.all(np.diff(data[1:, 1:], axis=0) > 0)


def test_square_keeps_the_proportions(listed):
    listed.write_text("# 0\na.png\n3 20 30\n1\n1 1 10 4 17 7\n")
    data = source(listed, batch_size=1, fg_fraction=1, crop_mode="square").next()["data"][0, 0]
    assert data.shape == (8, 8)
    assert np.all(np.abs(np.diff(data, axis=1) - 8) <= 2)  # about one pixel of the picture for one of the crop


def test_a_restored_source_goes_on_with_the_same_windows(listed):
    s, again = (
        source(listed, transform={"mirror": True, "crop_size": 8}),
        source(listed, seed=4, transform={"mirror": True}),
    )
    s.next()
    again.restore(s.state())
    for _ in range(3):
        assert np.array_equal(again.next()["data"], s.next()["data"])


def test_cached_files_are_read_once(listed):
    s, plain = source(listed, cache_images=True, fg_threshold=0.5, batch_size=16), source(listed, batch_size=16)
    batches = [plain.next()["data"] for _ in range(2)]
    assert np.array_equal(s.next()["data"], batches[0])
    for name in "ab":
        (listed.parent / f"{name}.png").unlink()
    assert np.array_equal(s.next()["data"], batches[1])
    with pytest.raises(DataError, match=r"window .* of [ab]\.png: cannot be read"):
        plain.next()


def test_a_cache_larger_than_memory_is_refused(listed, monkeypatch):
    s = source(listed, cache_images=True)
    monkeypatch.setattr(window_source.memory, "limit", lambda: 200)
    with pytest.raises(DataError, match=r"cache_images: what was read so far takes .* but only 200 B are available"):
        s.next()


@pytest.mark.parametrize("part", [-0.1, 1.5, 1e38, np.nan])
def test_objects_are_a_part_of_the_batch(listed, part):
    with pytest.raises(DataError, match=r"fg_fraction is .*; it is the fraction of objects in a batch, 0 to 1"):
        source(listed, fg_fraction=part)


def test_means_of_another_number_of_channels_are_refused(listed):
    with pytest.raises(DataError, match="pictures of 3 channels, and transform_param has 2 mean_value"):
        source(listed, transform={"mean_value": [1, 2]})


def test_skipping_leads_to_where_reading_does(listed):
    one, other = source(listed), source(listed)
    one.skip(2)
    for _ in range(2):
        other.next()
    assert np.array_equal(one.next()["data"], other.next()["data"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lists no windows"),
        ("# 0\na.png\n3 20 30\n0\n", "lists no windows"),
        ("a.png 3\n", ':1: "a.png" where a new picture'),
        ("# 0\na.png\n3 20 wide\n", ':3: "wide" where the picture\'s width should be'),
        ("# 0\na.png\n3 20 30\n1\n2 0.9 4 2 11\n", ":5: the end of the file where y2 should be"),
        (f"# 0\na.png\n3 20 30\n1\n2 0.9 4 2 11 {10**400}\n", "where y2 should be"),
        ("# 0\na.png\n3 20 30\n1\n2 nan 4 2 11 9\n", ':5: "nan" where a window\'s overlap should be'),
        ("# 0\na.png\n3 20 30\n4294967295\n", '"4294967295" where the number of windows should be'),
    ],
)
def test_a_bad_window_file_names_its_line(tmp_path, text, says):
    path = tmp_path / "windows.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=f"windows.txt:?.*{says}"):
        read_windows(path)


@pytest.mark.parametrize(
    ("windows", "says"),
    [
        ("1\n0 0.9 0 0 5 5", "an object of class 0"),
        ("1\n1 0.9 0 0 5 5", "no window counts as background"),
        ("1\n0 0.0 0 0 5 5", "no window counts as an object"),
        ("2\n1 0.9 -1 0 5 5\n0 0 -1 0 5 5", "window -1 0 5 5 of a.png: lies outside its picture, 3×20×30"),
        ("2\n1 0.9 9 0 7 5\n0 0 9 0 7 5", "window 9 0 7 5 of a.png: ends before it begins"),
        ("2\n1 0.9 40 0 45 5\n0 0 40 0 45 5", "window 40 0 45 5 of a.png: lies outside its picture, 3×20×30"),
    ],
)
def test_windows_that_cannot_be_used(listed, windows, says):
    listed.write_text(f"# 0\na.png\n3 20 30\n{windows}\n")
    with pytest.raises(DataError, match=says):
        source(listed).next()
