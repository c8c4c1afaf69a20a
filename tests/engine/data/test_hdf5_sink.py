import h5py
import numpy as np
import pytest

from engine.data.hdf5_sink import HDF5Sink
from engine.errors import DataError

DATA = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)


def test_batches_stand_one_behind_the_other_in_caffe_s_shapes(tmp_path):
    sink = HDF5Sink(tmp_path / "out.h5")
    sink.write([DATA, np.float32([7, 8])])
    sink.write([-DATA[:1], np.float32([9])])
    assert not (tmp_path / "out.h5").exists()
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5"]
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["data"].dtype == np.float32
        assert np.array_equal(file["data"], np.concatenate([DATA, -DATA[:1]]))
        assert file["label"].shape == (3, 1, 1, 1)
        assert file["label"][:, 0, 0, 0].tolist() == [7, 8, 9]


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "out.h5"
    path.write_text("older")
    sink = HDF5Sink(path)
    sink.write([DATA, np.float32([7, 8])])
    assert path.read_text() == "older"
    sink.close()
    assert h5py.is_hdf5(path)


def test_without_a_batch_there_is_no_file(tmp_path):
    HDF5Sink(tmp_path / "out.h5").close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"gone/out\.h5: cannot be written"):
        HDF5Sink(tmp_path / "gone" / "out.h5")
