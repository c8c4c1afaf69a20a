import h5py
import numpy as np
import pytest

from engine.data.backends import READERS
from engine.data.datum import parse
from engine.errors import DataError
from engine.tools import feature_files

BATCHES = np.random.default_rng(0).standard_normal((3, 4, 2, 5)).astype(np.float32)
"""Three batches of four rows of shape (2, 5)."""
ROWS = BATCHES.reshape(12, 2, 5)


def write(kind, path, batches=BATCHES):
    with feature_files.create(kind, path, "a/b") as file:
        for batch in batches:
            file.write(batch)


@pytest.mark.parametrize("backend", READERS)
def test_a_database_has_a_record_of_floats_a_row_as_caffe_s(tmp_path, backend):
    write(backend, tmp_path / "db")
    records = list(READERS[backend](tmp_path / "db").records())
    assert [key for key, _ in records] == [b"%010d" % i for i in range(12)]
    for (_, value), row in zip(records, ROWS, strict=True):
        record = parse(value)
        assert (record.channels, record.height, record.width) == (2, 5, 1)
        assert record.float_data == row.ravel().tolist()
        assert value == record.SerializeToString()
        assert {field.name for field, _ in record.ListFields()} == {"channels", "height", "width", "float_data"}


@pytest.mark.parametrize(
    ("row", "record"),
    [((), (1, 1, 1)), ((3,), (3, 1, 1)), ((3, 2, 4), (3, 2, 4)), ((3, 2, 2, 2), (24, 1, 1))],
)
def test_a_record_has_the_shape_of_its_row(tmp_path, row, record):
    write("lmdb", tmp_path / "db", [np.ones((2, *row), np.float32)])
    for _, value in READERS["lmdb"](tmp_path / "db").records():
        found = parse(value)
        assert (found.channels, found.height, found.width) == record


def test_hdf5_and_npz_keep_the_blob_s_shape_and_name(tmp_path):
    write("hdf5", tmp_path / "x.h5")
    write("npz", tmp_path / "x.npz")
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.array_equal(file["a/b"][:], ROWS)
    with np.load(tmp_path / "x.npz") as archive:
        assert np.array_equal(archive["a/b"], ROWS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5", "x.npz"]


@pytest.mark.parametrize("kind", feature_files.KINDS)
def test_nothing_is_left_of_what_ends_half_way(tmp_path, kind):
    def stopped():
        yield BATCHES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(kind, tmp_path / "out", stopped())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", feature_files.KINDS)
def test_an_existing_file_and_a_missing_folder(tmp_path, kind):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="out: already exists"):
        write(kind, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
    with pytest.raises(DataError, match="cannot be written"):
        write(kind, tmp_path / "nowhere" / "out")


@pytest.mark.parametrize("kind", ["hdf5", "npz"])
def test_rows_of_two_shapes_make_no_array(tmp_path, kind):
    with pytest.raises(DataError, match=r"rows of shape \[10\], earlier ones of \[2, 5\]"):
        write(kind, tmp_path / "out", [BATCHES[0], BATCHES[0].reshape(4, 10)])
