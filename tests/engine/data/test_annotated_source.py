import numpy as np
import pytest

from engine.data.annotated_source import AnnotatedSource
from engine.data.bad_records import BadRecords
from engine.data.datum import raw
from engine.data.lmdb_reader import LMDB
from engine.data.padded_rows import FEWEST
from engine.data.transform import Transform
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.proto import text

RNG = np.random.default_rng(0)


def record(label, *corners, size=(3, 8, 12)):
    made = pb.AnnotatedDatum(datum=raw(RNG.integers(0, 256, size).astype(np.uint8), label), type="BBOX")
    group = made.annotation_group.add(group_label=label)
    for n, each in enumerate(corners):
        box = pb.NormalizedBBox(**dict(zip(("xmin", "ymin", "xmax", "ymax"), each, strict=True)))
        group.annotation.add(instance_id=n, bbox=box)
    return made


@pytest.fixture
def database(make_lmdb):
    return make_lmdb([record(1, (0, 0, 0.5, 0.5)), record(2), record(3, (0.5, 0.5, 1, 1), (0, 0, 1, 1))])


def source(path, param="", samplers="", *, phase=pb.TRAIN, batch_size=3, tops=("data", "boxes")):
    transform = text.parse(param, pb.TransformationParameter)
    return AnnotatedSource(
        LMDB(path),
        tops,
        batch_size,
        Transform(transform, phase),
        seed=1,
        param=transform,
        own=text.parse(samplers, pb.AnnotatedDataParameter),
    )


def rows(batch):
    table = batch["boxes"][0, 0]
    return table[table[:, 0] >= 0]


def test_the_boxes_of_a_batch_are_one_table(database):
    s = source(database)
    assert s.shapes() == [(3, 3, 8, 12), (1, 1, FEWEST, 8)]
    batch = s.next()
    assert batch["data"].shape == (3, 3, 8, 12)
    assert batch["boxes"].shape == (1, 1, FEWEST, 8)
    assert rows(batch)[:, :3].tolist() == [[0, 1, 0], [2, 3, 0], [2, 3, 1]]


def test_records_without_boxes_have_labels(make_lmdb):
    plain = [pb.AnnotatedDatum(datum=raw(np.zeros((1, 2, 2), np.uint8), n)) for n in range(3)]
    s = source(make_lmdb(plain))
    assert s.shapes()[1] == (3, 1, 1, 1)
    assert s.next()["boxes"].ravel().tolist() == [0, 1, 2]


def test_records_of_labels_have_no_boxes_to_give(make_lmdb):
    plain = make_lmdb([pb.AnnotatedDatum(datum=raw(np.zeros((1, 2, 2), np.uint8), 1))])
    with pytest.raises(DataError, match=r"has a label and no boxes.*-anno_type detection"):
        source(plain, samplers="anno_type: BBOX", batch_size=1).next()


def test_boxes_go_with_a_picture_that_is_mirrored(make_lmdb):
    marked = record(1, (0, 0, 0.25, 1))
    marked.datum.CopyFrom(raw(np.tile(np.repeat([255, 0], (3, 9)).astype(np.uint8), (3, 8, 1)), 1))
    seen = set()
    s = source(make_lmdb([marked]), "mirror: true", batch_size=1)
    for _ in range(8):
        batch = s.next()
        white = np.flatnonzero(batch["data"][0, 0, 0])
        assert rows(batch)[0, [3, 5]].tolist() == [white[0] / 12, (white[-1] + 1) / 12]
        seen.add(white[0])
    assert seen == {0, 9}


def test_boxes_go_with_a_picture_that_is_cropped(database):
    (row,) = rows(source(database, "crop_size: 4", phase=pb.TEST, batch_size=1).next())
    np.testing.assert_allclose(row[3:7], [0, 0, 0.5, 0.5])


def test_all_that_ssd_does_with_a_picture_gives_one_size_and_boxes_inside(database):
    param = """mirror: true mean_value: [104, 117, 123]
    resize_param { height: 10 width: 10 interp_mode: [LINEAR, AREA, NEAREST, CUBIC, LANCZOS4] }
    emit_constraint { emit_type: CENTER } expand_param { prob: 0.5 max_expand_ratio: 4 }
    distort_param { brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5
      hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5 }"""
    samplers = """batch_sampler { max_sample: 1 max_trials: 1 } batch_sampler { max_sample: 1 max_trials: 50
      sampler { min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
      sample_constraint { min_jaccard_overlap: 0.3 } }"""
    s = source(database, param, samplers)
    assert s.shapes() == [(3, 3, 10, 10), (1, 1, FEWEST, 8)]
    for _ in range(10):
        batch = s.next()
        assert batch["data"].shape == (3, 3, 10, 10)
        table = rows(batch)
        assert np.all((table[:, 3:7] >= 0) & (table[:, 3:7] <= 1) & (table[:, [5, 6, 5, 6]] >= table[:, 3:7]))


def test_a_restored_source_goes_on_with_the_same_batches(database):
    param = "mirror: true resize_param { height: 4 width: 4 } expand_param { max_expand_ratio: 2 }"
    first = source(database, param)
    first.next()
    state, want = first.state(), first.next()
    second = source(database, param)
    second.restore(state)
    for name, value in second.next().items():
        assert np.array_equal(value, want[name])


def test_many_boxes_make_a_longer_table(make_lmdb):
    s = source(make_lmdb([record(1, *[(0, 0, 1, 1)] * 9)]), batch_size=1)
    assert s.next()["boxes"].shape == (1, 1, 16, 8)


def test_a_record_that_is_none_of_ssd_s_names_itself(make_lmdb):
    with pytest.raises(DataError, match='record "bad": is not an AnnotatedDatum record'):
        source(make_lmdb([(b"bad", b"\xff\xff")])).shapes()


def test_the_first_good_record_decides_the_shapes_where_bad_ones_are_skipped(make_lmdb):
    s = source(make_lmdb([(b"0", b"\xff\xff"), (b"1", record(1, (0, 0, 1, 1)).SerializeToString())]), batch_size=1)
    s.bad = BadRecords("data")
    assert s.shapes() == [(1, 3, 8, 12), (1, 1, FEWEST, 8)]


def test_many_sizes_need_batches_of_one(database):
    with pytest.raises(DataError, match="batch_size: 1"):
        source(database, "resize_param { resize_mode: FIT_SMALL_SIZE height: 4 width: 4 }")


SEVERAL = "resize_param { prob: 0.5 height: 4 width: 4 } resize_param { prob: 0.5 height: 8 width: 6 }"


def test_of_several_sizes_one_is_drawn_every_ten_batches(database):
    s = source(database, SEVERAL)
    assert s.shapes()[0] == (3, 3, 4, 4)
    sizes = [s.next()["data"].shape[2:] for _ in range(60)]
    assert set(sizes) == {(4, 4), (8, 6)}
    assert all(len(set(sizes[i : i + 10])) == 1 for i in range(0, 60, 10))
    other = source(database, SEVERAL)
    other.skip(35)
    assert [other.next()["data"].shape[2:] for _ in range(10)] == sizes[35:45]
    with pytest.raises(DataError, match=r"the prob of its 2 add up to 1.2, not to 1"):
        source(database, SEVERAL.replace("0.5", "0.6"))


def test_boxes_of_yolo_are_centres_and_sizes_of_each_picture(database):
    s = source(database, samplers="yolo_data_type: 1 yolo_data_jitter: 0")
    assert s.shapes()[1] == (3, 1, 300, 5)
    boxes = s.next()["boxes"]
    assert boxes[0, 0, :2].tolist() == [[0, 0.25, 0.25, 0.5, 0.5], [0] * 5]
    assert boxes[2, 0, :3].tolist() == [[2, 0.75, 0.75, 0.5, 0.5], [2, 0.5, 0.5, 1, 1], [0] * 5]


def test_difficult_boxes_may_be_left_out(make_lmdb):
    made = record(1, (0, 0, 0.5, 0.5), (0, 0, 1, 1))
    made.annotation_group[0].annotation[0].bbox.difficult = True
    path = make_lmdb([made] * 3)
    for options, count in (("", 2), ("train_diffcult: false", 1)):
        boxes = source(path, samplers=f"yolo_data_type: 1 yolo_data_jitter: 0 {options}").next()["boxes"]
        assert np.count_nonzero(boxes[0, 0, :, 3]) == count


def test_pictures_of_yolo_are_cut_at_random(database):
    s = source(database, "resize_param { height: 8 width: 12 }", "yolo_data_type: 1 yolo_data_jitter: 0.4")
    sizes = np.array([s.next()["boxes"][2, 0, 1, 3:] for _ in range(40)])
    assert np.count_nonzero(np.all(sizes == 1, 1)) > 20  # of a box of the whole picture, whatever part is cut out
    first = np.array([s.next()["boxes"][0, 0, 0, 3:] for _ in range(40)])
    assert len(np.unique(first.round(3), axis=0)) > 15
    assert first.max() <= 0.5 / 0.6 + 1e-3
    with pytest.raises(DataError, match="yolo_data_jitter is 1; it must be 0 or more"):
        source(database, samplers="yolo_data_jitter: 1")


def test_noise_comes_after_the_new_size(database):
    resized = source(database, "resize_param { height: 4 width: 6 }").next()["data"]
    changed = source(database, "resize_param { height: 4 width: 6 } noise_param { inverse: true }").next()["data"]
    assert np.array_equal(changed, 255 - resized)


SCALED = "resize_param {{ resize_mode: FIT_SMALL_SIZE height: 8 width: 6 height_scale: {} width_scale: 3 }}".format


def test_boxes_are_told_in_units_of_the_scales(database):
    (row,) = rows(source(database, SCALED(4), batch_size=1).next())
    np.testing.assert_allclose(row[3:7], [0, 0, 2, 1])  # half of a picture of 8 × 12
    with pytest.raises(DataError, match="smaller than resize_param's width_scale and height_scale"):
        source(database, SCALED(9), batch_size=1).next()
