import json

import h5py
import numpy as np
import pytest
import scipy.io

from engine.data.feed import Feed
from engine.data.hdf5_source import HDF5Source
from engine.data.label_bounds import LabelBounds
from engine.data.transform import Transform
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb


@pytest.fixture
def listed(tmp_path):
    """Three files of 3, 1 and 4 rows; `data` and `label` count on through all of them."""
    begin = 0
    for name, rows in (("a", 3), ("b", 1), ("c", 4)):
        count = np.arange(begin, begin + rows)
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"] = np.broadcast_to(count[:, None, None], (rows, 2, 5)).astype(np.float64)
            file["label"] = count
        begin += rows
    (tmp_path / "list.txt").write_text("a.h5\nb.h5\nc.h5\n")
    return tmp_path / "list.txt"


def source(path, batch_size=3, tops=("data", "label"), seed=1, shuffle=False, transforms=None):
    return HDF5Source(path, tops, batch_size, seed, shuffle=shuffle, transforms=transforms)


def labels(s, batches):
    return [int(label) for _ in range(batches) for label in s.next()["label"]]


def test_rows_go_on_from_file_to_file_and_round(listed):
    s = source(listed, batch_size=5)
    assert s.shapes() == [(5, 2, 5), (5,)]
    assert labels(s, 4) == [*range(8), *range(8), 0, 1, 2, 3]
    batch = s.next()
    assert batch["data"].dtype == batch["label"].dtype == np.float32
    assert np.array_equal(batch["data"][:, 1, 4], batch["label"])


def test_a_line_may_name_several_files(listed):
    listed.write_text("a.h5 b.h5\n\n\tc.h5\n")
    assert labels(source(listed, batch_size=8), 1) == [*range(8)]


def test_a_batch_larger_than_all_the_files(listed):
    assert labels(source(listed, batch_size=20), 1) == [*range(8), *range(8), *range(4)]


@pytest.mark.parametrize("alone", [True, False])
def test_shuffling_mixes_files_and_rows_and_keeps_epochs_whole(listed, alone):
    if alone:
        listed.write_text("c.h5\n")
    size = 4 if alone else 8
    seen = labels(source(listed, batch_size=size, shuffle=True), 6)
    epochs = [tuple(seen[i : i + size]) for i in range(0, len(seen), size)]
    assert len({tuple(sorted(epoch)) for epoch in epochs}) == 1
    assert len(set(epochs)) > 3
    assert seen == labels(source(listed, batch_size=size, shuffle=True), 6)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("read", [0, 1, 2, 5])
def test_a_restored_source_goes_on_with_the_same_rows(listed, shuffle, read):
    s = source(listed, shuffle=shuffle)
    labels(s, read)
    again = source(listed, seed=5, shuffle=shuffle)
    again.restore(json.loads(json.dumps(s.state())))
    assert labels(again, 6) == labels(s, 6)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("skipped", [0, 1, 2, 9])
def test_skipping_leads_to_where_reading_does(listed, shuffle, skipped):
    one, other = source(listed, shuffle=shuffle), source(listed, shuffle=shuffle)
    one.skip(skipped)
    labels(other, skipped)
    assert labels(one, 6) == labels(other, 6)


def test_a_record_is_named_by_file_and_row(listed):
    s = source(listed, batch_size=6)
    s.next()
    assert s.record(5).endswith("c.h5: row 1")
    s = source(listed, batch_size=8, shuffle=True)
    batch = s.next()
    first = {"a": 0, "b": 3, "c": 4}
    for i, label in enumerate(batch["label"]):
        name, row = s.record(i).rsplit("/", 1)[1].split(".h5: row ")
        assert first[name] + int(row) == label


def _file(path, **datasets):
    with h5py.File(path.parent / "a.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p.unlink(), r"list\.txt: cannot be read"),
        (lambda p: p.write_text("\n"), "lists no HDF5 files"),
        (
            lambda p: (p.parent / "a.h5").rename(p),
            r"list\.txt: is an HDF5 file, and `source` names a list of such files",
        ),
        (
            lambda p: p.write_text("a.h5\n\ngone.h5\n"),
            r"list\.txt:3: gone\.h5: no such file, from here or beside the list",
        ),
        (lambda p: (p.parent / "a.h5").write_bytes(b"no HDF5"), r"a\.h5: cannot be read as HDF5"),
        (lambda p: _file(p, data=[1.0]), r'a\.h5: has no dataset "label", a top of the layer; it has data'),
        (lambda p: _file(p, data=[1.0, 2.0], label=[1]), "same number of rows, 1 or more; they have: data 2, label 1"),
        (lambda p: _file(p, data=np.zeros((0, 3)), label=np.zeros(0)), "1 or more; they have: data 0, label 0"),
        (lambda p: _file(p, data=["x"], label=[1]), 'dataset "data" of object'),
        (lambda p: _file(p, data=1.0, label=[1]), r'dataset "data" of shape \(\)'),
    ],
)
def test_what_cannot_be_read_is_named(listed, change, says):
    change(listed)
    with pytest.raises(DataError, match=says):
        source(listed)


def test_a_later_file_that_is_cut_short(listed):
    path = listed.parent / "b.h5"
    path.write_bytes(path.read_bytes()[:200])
    s = source(listed)
    s.next()
    with pytest.raises(DataError, match=r"b\.h5: cannot be read as HDF5"):
        s.next()


def test_a_later_file_whose_rows_have_another_shape(listed):
    with h5py.File(listed.parent / "b.h5", "w") as file:
        file["data"], file["label"] = np.zeros((1, 2, 4)), [0]
    s = source(listed)
    s.next()
    with pytest.raises(
        DataError, match=r'b\.h5: the rows of dataset "data" have shape \[2, 4\], and those of .*a\.h5 \[2, 5\]'
    ):
        s.next()


@pytest.fixture
def pictures(tmp_path):
    """Two files of 3 and 4 pictures, and what is to be made of each pixel."""
    rng = np.random.default_rng(1)
    for name, rows in (("a", 3), ("b", 4)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"] = rng.random((rows, 2, 6, 7), np.float32)
            file["target"] = file["data"][:, :1] * 2
            file["label"] = np.arange(rows)
    (tmp_path / "list.txt").write_text("a.h5\nb.h5\n")
    return tmp_path / "list.txt"


def _transforming(path, param, phase=pb.TRAIN, tops=("data", "target", "label"), **options):
    transform = Transform(pb.TransformationParameter(**param), phase)
    return source(path, tops=tops, transforms=dict.fromkeys(("data", "target"), transform), **options)


def test_tops_of_pictures_are_transformed_and_their_numbers_are_the_same(pictures):
    s = _transforming(pictures, {"crop_size": 4, "mirror": True}, batch_size=5)
    assert s.shapes() == [(5, 2, 4, 4), (5, 1, 4, 4), (5,)]
    plain = source(pictures, batch_size=5)
    crops = set()
    for _ in range(6):
        batch, whole = s.next(), plain.next()["data"]
        np.testing.assert_array_equal(batch["data"][:, :1] * 2, batch["target"])
        windows = np.lib.stride_tricks.sliding_window_view(whole, (4, 4), axis=(2, 3))
        for got, of in zip(batch["data"], windows, strict=True):
            found = [
                (y, x, flip)
                for y in range(3)
                for x in range(4)
                for flip in (1, -1)
                if np.array_equal(of[:, y, x, :, ::flip], got)
            ]
            crops.update(found)
            assert found
    assert len(crops) > 12


def test_a_restored_source_transforms_as_the_first_would_have(pictures):
    one, other = (_transforming(pictures, {"crop_size": 3}, seed=seed, shuffle=True) for seed in (1, 2))
    one.skip(3)
    other.restore(json.loads(json.dumps(one.state())))
    for _ in range(5):
        np.testing.assert_array_equal(one.next()["data"], other.next()["data"])


def test_a_crop_that_does_not_fit_names_file_and_dataset(pictures):
    s = _transforming(pictures, {"crop_size": 9})
    with pytest.raises(DataError, match=r'a\.h5: a row of dataset "data" is 6×7, smaller than crop_size 9'):
        s.shapes()


def test_rows_that_are_no_pictures_are_not_transformed(listed):
    transform = Transform(pb.TransformationParameter(), pb.TRAIN)
    with pytest.raises(DataError, match=r'a\.h5: the rows of dataset "data" have shape \[2, 5\].*that is for pictures'):
        source(listed, transforms={"data": transform}).shapes()


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_rows_of_a_matlab_file(tmp_path, version):
    data = np.arange(24, dtype=np.float64).reshape(3, 1, 2, 4)
    matlabs = {"data": data.T, "label": np.array([[5, 6, 7]])}  # as MATLAB has them: 4×2×1×3 and 1×3
    if version == "5":
        scipy.io.savemat(tmp_path / "a.mat", matlabs)
    else:
        with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
            for name, value in matlabs.items():
                file[name] = value.T
    (tmp_path / "list.txt").write_text("a.mat\n")
    s = source(tmp_path / "list.txt")
    assert s.shapes() == [(3, 1, 2, 4), (3, 1)]
    batch = s.next()
    np.testing.assert_array_equal(batch["data"], data)
    assert batch["label"].tolist() == [[5], [6], [7]]


def test_a_matlab_column_is_told_where_matlab_counts_rows(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"data": np.zeros((4, 3)), "label": np.zeros((3, 1))})
    (tmp_path / "list.txt").write_text("a.mat\n")
    with pytest.raises(DataError, match=r"they have: data 3, label 1\. MATLAB's last dimension counts them"):
        source(tmp_path / "list.txt")


def test_a_matlab_file_in_the_lists_place(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"data": np.zeros((4, 3))})
    with pytest.raises(DataError, match=r"a\.mat: is a MATLAB file, and `source` names a list"):
        source(tmp_path / "a.mat")


def test_a_lone_file_is_read_once_and_its_rows_named(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file["label"] = np.arange(6.0).reshape(3, 2), np.arange(3.0)
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'a.h5'}\n")
    s = HDF5Source(tmp_path / "list.txt", ("data", "label"), 1000, 1, shuffle=True)
    (tmp_path / "a.h5").unlink()
    batch = s.next()
    assert sorted(batch["label"][:3]) == [0, 1, 2]
    np.testing.assert_array_equal(batch["data"], batch["label"][:, None] * 2 + [0, 1])
    for index in (0, 1, 2, 3, 500, 999):
        assert s.record(index) == f"{tmp_path / 'a.h5'}: row {batch['label'][index]:g}"


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("classes", [10, None])
def test_a_label_that_is_no_number_is_told_with_file_row_and_data_set(listed, value, classes):
    with h5py.File(listed.parent / "c.h5", "r+") as file:
        del file["label"]
        file["label"] = np.float32([4, 5, value, 7])
    bounds = {"label": [LabelBounds(classes, layer='layer "loss" (EuclideanLoss)')]}
    with Feed({"rows": source(listed, 8)}, bounds) as feed, pytest.raises(DataError) as error:
        feed.next()
    assert f'layer "rows": {listed.parent / "c.h5"}: row 2: ' in str(error.value)
    assert f'{value:g} in "label"' in str(error.value)
