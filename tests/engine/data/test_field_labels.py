"""What places learn, beside what the fork's loops say of each."""

import numpy as np

from engine.data import field_labels
from engine.data.field_labels import Boxes, Fields

MAPS = [Fields(6, 8, 8, 20, 24), Fields(3, 4, 16, 40, 48)]
THRESHOLD = 0.45


def boxes(objects, regions=(), ignored=(), inside=(0, 0, 64, 48)):
    corners = np.array(objects, np.float32).reshape(-1, 4)
    gone = np.isin(np.arange(len(corners)), ignored)
    return Boxes(corners, np.arange(1, len(corners) + 1), gone, np.array(regions, np.float32).reshape(-1, 4), inside)


def common(a, b):
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def area(a):
    return (a[2] - a[0]) * (a[3] - a[1])


def place(fields, row, column):
    x, y = (column + 0.5) * fields.stride, (row + 0.5) * fields.stride
    w, h = fields.field_width / 2, fields.field_height / 2
    return x - w, y - h, x + w, y + h


def by_loops(given, fields):
    made = np.zeros((6, fields.height, fields.width))
    for row, column in np.ndindex(fields.height, fields.width):
        field = place(fields, row, column)
        if sum(common(r, field) / area(field) for r in given.regions) >= 0.4:
            made[5, row, column] = 1
            continue
        shares = [common(o, field) / (area(o) + area(field) - common(o, field)) for o in given.corners]
        made[5, row, column] = max(shares, default=0)
        if made[5, row, column] > THRESHOLD:
            k = int(np.argmax(shares))
            x1, y1, x2, y2 = given.corners[k]
            made[0, row, column] = 0 if given.ignored[k] else given.classes[k]
            made[1:5, row, column] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
    return made


def test_each_place_learns_what_its_field_overlaps_most():
    given = boxes([(4, 6, 30, 28), (22, 4, 46, 24), (30, 20, 62, 47)], [(0, 30, 20, 48)], ignored=[1])
    for made, fields in zip(field_labels.labels(given, MAPS, THRESHOLD), MAPS, strict=True):
        np.testing.assert_allclose(made, by_loops(given, fields), atol=1e-5)


def test_an_object_that_no_field_overlaps_enough_is_learned_where_its_middle_lies():
    small, large = field_labels.labels(boxes([(26, 18, 38, 30)]), MAPS, 0.5)
    assert not large[0].any()
    assert np.argwhere(small[0]).tolist() == [[3, 4]]
    np.testing.assert_array_equal(small[1:5, 3, 4], [32, 24, 12, 12])
    assert small[5].max() < 0.5


def test_one_that_hardly_overlaps_any_is_not():
    for made in field_labels.labels(boxes([(30, 20, 33, 23)]), MAPS, 0.5):
        assert not made[:5].any()


def test_beside_the_picture_nothing_is_learned():
    small, _ = field_labels.labels(boxes([(0, 0, 24, 20)], inside=(16, 8, 64, 40)), MAPS, 0.5)
    np.testing.assert_array_equal(small[5] == 1, ~np.pad(np.ones((4, 6), bool), ((1, 1), (2, 0))))
    assert not small[0, 0].any()


def test_without_objects_all_is_background():
    assert not any(made.any() for made in field_labels.labels(boxes([]), MAPS, 0.5))
