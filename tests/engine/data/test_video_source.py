"""Pieces of videos, as VideoData reads them from folders of frames."""

import cv2
import numpy as np
import pytest

from engine.data import video_source
from engine.data.video_source import VideoCut, VideoSource, starts
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.proto import text

FRAMES = 9


@pytest.fixture
def listed(tmp_path):
    """Two videos of nine 8 × 10 frames; in place (r, c) a frame n of video v holds 100 v + 10 n + r, flow y 5 more."""
    for v in range(2):
        (tmp_path / f"v{v}").mkdir()
        for n in range(1, FRAMES + 1):
            values = np.repeat(100 * v + 10 * n + np.arange(8)[:, None], 10, 1)
            for name, more in ((f"image_{n:04}.png", 0), (f"x_{n}.png", 0), (f"y_{n}.png", 5)):
                cv2.imwrite(str(tmp_path / f"v{v}" / name), (values + more).astype(np.uint8))
    path = tmp_path / "list.txt"
    path.write_text(f"v0 {FRAMES} 3\n\nv1 {FRAMES} 1\n")
    return path


def source(path, param, transform="", random=False, tops=("data", "label")):
    p = text.parse(param + " batch_size: 2", pb.VideoDataParameter)
    return VideoSource(path, tops, p, VideoCut(text.parse(transform, pb.TransformationParameter), random), 1)


RGB = 'modality: RGB name_pattern: "image_%04d.png"'
FLOW = 'name_pattern: "%c_%d.png"'


def test_frames_of_each_segment_are_channels_one_after_another(listed):
    s = source(listed, f"{RGB} new_length: 2 num_segments: 2")
    batch = s.next()
    assert s.shapes() == [(2, 12, 8, 10), (2, 1, 1, 1)] == [v.shape for v in batch.values()]
    assert batch["data"][:, :, 0, 0].tolist() == [[v + 10 * n for n in (2, 3, 6, 7) for _ in "bgr"] for v in (0, 100)]
    assert batch["label"].ravel().tolist() == [3, 1]
    assert s.record(1) == f"{listed}: v1"
    assert source(listed, f"{RGB} grayscale: true").shapes()[0] == (2, 1, 8, 10)


def test_flow_has_x_and_y_and_turns_round_where_it_is_mirrored(listed):
    plain = source(listed, f"{FLOW} new_length: 2").next()["data"]
    assert plain[0, :, 0, 0].tolist() == [50, 55, 60, 65]
    s = source(listed, f"{FLOW} new_length: 2", "mirror: true is_flow: true mean_value: [1, 2] scale: 0.5")
    seen = {tuple(2 * s.next()["data"][0, :, 0, 0]) for _ in range(12)}
    assert seen == {(49, 53, 59, 63), (204, 53, 194, 63)}


def test_in_training_a_piece_begins_anywhere_in_its_segment(listed):
    s = source(listed, f"{RGB} new_length: 2 num_segments: 2", random=True)
    found = {tuple(s.next()["data"][0, ::6, 0, 0] // 10) for _ in range(99)}
    assert found == {(i, j) for i in (1, 2, 3) for j in (5, 6, 7)}


def test_a_segment_with_too_few_frames_begins_at_the_first():
    assert starts(9, pb.VideoDataParameter(new_length=5, num_segments=2), None) == [1, 1]


@pytest.mark.parametrize(
    ("ratios", "distort", "sizes"),
    [
        ([], 1, [(224, 224)] * 2 + [(224, 192)] + [(192, 224), (192, 192), (192, 168), (168, 192), (168, 168)]),
        ([1, 0.5], 0, [(256, 256), (128, 128)]),
    ],
)
def test_crops_of_several_scales_are_parts_of_the_shorter_side(ratios, distort, sizes):
    p = pb.TransformationParameter(crop_size=224, multi_scale=True, scale_ratios=ratios, max_distort=distort)
    found = video_source.crop_sizes(p, (256, 340))
    if ratios:
        assert found == sizes
    else:
        assert {(256, 256), (256, 224), (224, 256), (224, 224), (224, 192), (192, 168), (168, 168)} <= set(found)
        assert (256, 192) not in found
        assert len(found) == 10


def test_crops_lie_at_the_places_that_are_fixed():
    values = np.arange(16 * 20, dtype=np.uint8 if 16 * 20 < 256 else np.float32).reshape(1, 16, 20)
    cut = VideoCut(pb.TransformationParameter(crop_size=8, fix_crop=True), True)
    corners = {float(cut(values, [0.9, 0, (i + 0.5) / 5, 0])[0, 0, 0]) for i in range(5)}
    assert corners == {20 * top + left for top, left in ((0, 0), (0, 12), (8, 0), (8, 12), (4, 6))}


def test_a_crop_of_another_scale_is_stretched_to_crop_size():
    values = np.random.default_rng(0).integers(0, 256, (2, 16, 20), np.uint8)
    cut = VideoCut(text.parse("crop_size: 8 multi_scale: true scale_ratios: 0.75", pb.TransformationParameter), True)
    want = np.stack([cv2.resize(plane[2:14, 4:16].copy(), (8, 8)) for plane in values])
    np.testing.assert_array_equal(cut(values, [0.9, 0, 0.5, 0.5]), want)


def test_a_source_that_is_restored_goes_on(listed):
    s = source(listed, f"{RGB} shuffle: true", "mirror: true", random=True)
    s.next()
    state, want = s.state(), s.next()
    other = source(listed, f"{RGB} shuffle: true", "mirror: true", random=True)
    other.restore(state)
    assert all(np.array_equal(want[top], found) for top, found in other.next().items())


@pytest.mark.parametrize("line", ["v0 9", "v0 nine 1", "v0 0 1", "9 1"])
def test_a_line_that_is_no_video_is_refused(listed, line):
    listed.write_text(f"v0 9 1\n{line}\n")
    with pytest.raises(DataError, match=r"list.txt:2: .* is not a folder, its number of frames"):
        source(listed, RGB)


@pytest.mark.parametrize(
    ("param", "transform", "message"),
    [
        (f"{RGB} new_length: 20", "", r"v0: its frame image_0010.png cannot be read: No such file"),
        (RGB, "crop_size: 9", "v0: is 8×10, smaller than crop_size 9"),
        (RGB, "mean_value: [1, 2]", "has 3 channels in all frames together, and transform_param has 2 mean_value"),
        (RGB, 'mean_file: "a"', "mean_file is not for videos"),
        (RGB, "multi_scale: true", "multi_scale needs crop_size"),
        (RGB, "crop_size: 2 scale_ratios: 2", "must lie above 0, and be 1 at most"),
    ],
)
def test_what_cannot_be_is_refused(listed, param, transform, message):
    with pytest.raises(DataError, match=message):
        source(listed, param, transform).next()


def test_frames_of_several_sizes_are_refused(listed):
    cv2.imwrite(str(listed.parent / "v1" / "image_0006.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"v1: its frame image_0006.png is 3×4×4 and the first 3×8×10; give new_height"):
        source(listed, f"{RGB} new_length: 2").next()
    assert source(listed, f"{RGB} new_length: 2 new_height: 6 new_width: 6").next()["data"].shape == (2, 6, 6, 6)
