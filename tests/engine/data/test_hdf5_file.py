"""What one function opens: nothing outside the file is read, and every damage is words."""

import os
import random
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.data import hdf5_file
from engine.errors import DataError
from engine.host import memory

SECRET = b"-----BEGIN OPENSSH PRIVATE KEY-----"


@pytest.fixture
def made(tmp_path):
    """Makes an HDF5 file, by a function of it and of the folder of a secret and of another HDF5 file."""
    (tmp_path / "secret").write_bytes(SECRET)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = np.float32([5, 6])

    def make(write, name="own.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            write(file, tmp_path)
        return tmp_path / name

    return make


def numbers(path: Path, name: str = "data") -> list:
    with hdf5_file.opened(path, DataError) as file:
        return file.numbers(name).tolist()


def virtual(file, folder):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "data", shape=(2,))
    file.create_virtual_dataset("data", layout)


def linked(file, folder):
    file["elsewhere"] = h5py.ExternalLink(folder / "other.h5", "/")
    file["data"] = h5py.SoftLink("/elsewhere/data")


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda f, d: f.create_dataset("data", (2,), "f4", external=[(d / "secret", 0, 8)]), "values in other files"),
        (virtual, "values in other files"),
        (lambda f, d: f.update(data=h5py.ExternalLink(d / "other.h5", "/data")), "link into another file"),
        (linked, "link into another file"),
        (lambda f, d: f.update(data=h5py.SoftLink("/data")), "never ends"),
        (lambda f, _: f.update(data=h5py.SoftLink("/gone")), 'no dataset "data"'),
        (lambda f, _: f.create_dataset("data", (1 << 40, 1 << 20), "f4", chunks=(1, 1 << 10)), "EiB of memory, but"),
        (
            lambda f, _: f.create_dataset("data", (2,), "f4", chunks=((1 << 30) - 1,), maxshape=(None,)),
            "of memory, but",
        ),
        (lambda f, _: f.update(data=["text"]), "not an array of numbers"),
        (lambda f, _: f.create_dataset("data", dtype="f4", data=h5py.Empty("f4")), "not an array of numbers"),
        (lambda f, _: f.create_dataset("data", (2,), h5py.vlen_dtype("f4")), "not an array of numbers"),
        (lambda f, _: f.create_group("data"), 'no dataset "data"'),
        (lambda f, _: f.update(data=np.dtype("f4")), 'no dataset "data"'),
    ],
)
def test_what_lies_elsewhere_or_is_no_array_is_refused(made, monkeypatch, write, says):
    monkeypatch.setattr(memory, "limit", lambda: 1 << 31)
    with pytest.raises(DataError, match=rf"own\.h5: .*{says}") as refused:
        numbers(made(write))
    assert SECRET.decode() not in str(refused.value)


def test_links_inside_the_file_are_followed(made):
    def write(file, _):
        file["a/b/values"] = np.arange(3)
        file["a/short"] = h5py.SoftLink("b")
        file["data"] = h5py.SoftLink("a/short/values")
        file["twice"] = file["a/b/values"]

    path = made(write)
    assert numbers(path) == numbers(path, "twice") == numbers(path, "/a/./short//values") == [0, 1, 2]


@pytest.mark.parametrize("chunk", [1024, 1 << 19])
def test_chunks_that_unpack_to_more_than_they_hold(made, chunk):
    packed = zlib.compress(bytes(1 << 24) + (random.Random(1).randbytes(1_500_000) if chunk > 1024 else b""))

    def write(file, _):
        dataset = file.create_dataset("data", (chunk,), "f4", chunks=(chunk,), compression="gzip", fletcher32=True)
        dataset.id.write_direct_chunk((0,), packed)

    with pytest.raises(DataError, match='"data" unpacks to more than its chunks hold'):
        numbers(made(write))


@pytest.mark.parametrize("values", [np.zeros(1 << 20), np.random.default_rng(1).random(1 << 20)], ids=["zeros", "any"])
def test_large_chunks(made, values):
    options = {"chunks": (1 << 20,), "compression": "gzip", "shuffle": True, "fletcher32": True}
    assert numbers(made(lambda f, _: f.create_dataset("data", data=values, **options))) == np.float32(values).tolist()


def test_many_small_chunks_are_read_part_by_part(made):
    values = np.arange(90 * 70 * 3).reshape(90, 70, 3)
    path = made(lambda f, _: f.create_dataset("data", data=values, chunks=(1, 3, 2)))
    parts = list(hdf5_file.slabs(values.shape, (1, 3, 2)))
    assert len(parts) > 1
    assert sum(values[part].size for part in parts) == values.size
    assert numbers(path) == values.tolist()


def test_more_chunks_than_the_file_can_hold_are_refused(made):
    path = made(lambda f, _: f.create_dataset("data", (1 << 20, 3), "f4", chunks=(1, 1)))
    with pytest.raises(DataError, match=r'"data" of shape \[1048576, 3\] has 3,145,728 chunks of shape \[1, 1\], and'):
        numbers(path)


@pytest.mark.parametrize("value", ["ä.caffemodel", np.bytes_(b"\xe9.caffemodel"), np.array([b"a.caffemodel"])])
def test_strings(made, value):
    with hdf5_file.opened(made(lambda f, _: f.update(data=value)), DataError) as file:
        assert file.text("data").endswith(".caffemodel")


@pytest.mark.parametrize("value", [2**24 + 1, np.int32([2**31 - 1]), np.uint64(2**53 - 1)])
def test_a_whole_number_is_exact(made, value):
    with hdf5_file.opened(made(lambda f, _: f.update(data=value)), DataError) as file:
        assert file.integer("data") == int(np.max(value))


@pytest.mark.parametrize("value", [[1, 2], 1.5, np.nan, np.inf, "1"])
def test_what_is_no_whole_number(made, value):
    with hdf5_file.opened(made(lambda f, _: f.update(data=value)), DataError) as file, pytest.raises(DataError):
        file.integer("data")


@pytest.mark.parametrize("name", ["pipe", "folder", "text", "gone", "n" * 300])
def test_what_is_no_hdf5_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("text")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        numbers(tmp_path / name)


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "damaged_hdf5").iterdir()), ids=lambda p: p.name)
def test_damage_is_told(path):
    with pytest.raises(DataError, match=rf"{path.name}: "):
        [numbers(path, name) for name in ("data", "label")]
