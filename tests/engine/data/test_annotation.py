import numpy as np
import pytest

from engine.data import annotation
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb


def boxes(*corners):
    return np.array([[1, 0, *each, 0] for each in corners], np.float32).reshape(-1, 7)


def corners(found):
    return found[annotation.CORNERS].tolist()


def test_a_record_s_boxes_are_rows():
    record = pb.AnnotatedDatum()
    group = record.annotation_group.add(group_label=7)
    group.annotation.add(instance_id=2, bbox=pb.NormalizedBBox(xmin=0, ymin=0.25, xmax=0.5, ymax=1, difficult=True))
    assert annotation.boxes_of(record).tolist() == [[7, 2, 0, 0.25, 0.5, 1, 1]]
    assert annotation.boxes_of(pb.AnnotatedDatum()).shape == (0, 7)


def test_shares_of_boxes():
    a, b = np.array([0, 0, 1, 1.0]), np.array([[0.5, 0.5, 1, 1], [2, 2, 3, 3], [0.5, 0, 1.5, 1]])
    assert annotation.overlap(a, b).tolist() == [0.25, 0, pytest.approx(1 / 3)]
    assert annotation.coverage(b, a).tolist() == [1, 0, 0.5]


def test_what_is_left_of_boxes_in_a_part_of_the_picture():
    found = annotation.within(
        boxes((0, 0, 0.5, 0.5), (0.5, 0.5, 0.75, 1), (0.9, 0.9, 1, 1)), np.array([0.25, 0.25, 0.75, 0.75]), None
    )
    assert corners(found) == [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]


@pytest.mark.parametrize(
    ("emit", "left"),
    [
        (pb.EmitConstraint(emit_type="CENTER"), 1),
        (pb.EmitConstraint(emit_type="MIN_OVERLAP", emit_overlap=0.1), 2),
        (pb.EmitConstraint(emit_type="MIN_OVERLAP", emit_overlap=0.2), 1),
        (None, 2),
    ],
)
def test_boxes_mostly_outside_can_be_left_out(emit, left):
    there = boxes((0, 0, 0.4, 0.4), (0.5, 0.5, 0.75, 0.75))
    assert len(annotation.within(there, np.array([0.25, 0.25, 1, 1]), emit)) == left


def test_boxes_of_a_mirrored_picture():
    assert corners(annotation.mirrored(boxes((0, 0.25, 0.25, 1)))) == [[0.75, 0.25, 1, 1]]


@pytest.mark.parametrize(("mode", "want"), [("WARP", [0, 0, 1, 0.5]), ("FIT_LARGE_SIZE_AND_PAD", [0, 0.25, 1, 0.5])])
def test_boxes_of_a_padded_picture_move(mode, want):
    param = pb.ResizeParameter(resize_mode=mode, height=8, width=8)
    assert corners(annotation.resized(boxes((0, 0, 1, 0.5)), 4, 8, param)) == [want]


def test_a_box_beyond_a_padded_picture_ends_in_the_padding():
    fit = pb.ResizeParameter(resize_mode="FIT_LARGE_SIZE_AND_PAD", height=8, width=8)
    beyond = boxes((-0.2, -0.2, 1.2, 1.2))
    np.testing.assert_allclose(corners(annotation.resized(beyond, 4, 8, fit)), [[0, 0.25, 1, 0.85]], rtol=1e-6)


SMALL = pb.ResizeParameter(resize_mode="FIT_SMALL_SIZE", height=30, width=40, height_scale=20, width_scale=25)


def test_boxes_can_be_told_in_units_of_pixels():
    extent = annotation.extent(100, 90, SMALL)
    assert extent == pytest.approx((40 / 25, 40 / 0.9 / 20))
    assert annotation.extent(100, 90, pb.ResizeParameter(height=30, width=40)) is None
    told = annotation.scaled(boxes((0, 0.5, 0.5, 1)), np.array([0, 0.25, 1, 0.75]), extent)
    np.testing.assert_allclose(corners(told), [[0, 0.5 * extent[1] / 2, 0.5 * extent[0], extent[1] / 2]], rtol=1e-6)
    with pytest.raises(DataError, match="smaller than resize_param's width_scale"):
        annotation.scaled(boxes((0, 0, 1, 1)), np.array([0, 0, 0.5, 1]), extent)


def test_boxes_in_the_padding_stay_where_they_are():
    fit = pb.ResizeParameter(resize_mode="FIT_LARGE_SIZE_AND_PAD", height=100, width=100)
    np.testing.assert_allclose(annotation.in_picture(np.array([0, 0, 1, 0.2]), 50, 100, fit), [0, 0, 100, 10])


def test_boxes_in_a_padded_picture_are_those_of_the_picture():
    fit = pb.ResizeParameter(resize_mode="FIT_LARGE_SIZE_AND_PAD", height=100, width=100)
    np.testing.assert_allclose(annotation.in_picture(np.array([0, 0.25, 1, 0.5]), 50, 100, fit), [0, 0, 100, 25])
