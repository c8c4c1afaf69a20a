"""Heaps of strings in which HDF5's own reader would stay for ever."""

import struct
import subprocess
import sys

import h5py
import pytest

from engine.data import hdf5_heaps


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["text"] = "a.caffemodel"
        file["more"] = ["some", "words", ""] * 99
    return tmp_path / "x.h5"


def spoilt(path, number, size):
    """The first object of the first heap gets this number and size."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<HHIQ", data, data.index(b"GCOL") + 16, number, 1, 0, size)
    path.write_bytes(data)


def test_what_the_library_writes_is_sound(path):
    assert path.read_bytes().count(b"GCOL") > 1
    assert hdf5_heaps.are_sound(path)


def test_a_file_of_nothing_has_no_heap(tmp_path):
    (tmp_path / "x").touch()
    assert hdf5_heaps.are_sound(tmp_path / "x")


@pytest.mark.parametrize(("number", "size"), [(0, 0), (1, 2**64 - 16)], ids=["free space", "a size that overflows"])
def test_an_object_without_a_size_is_none(path, number, size):
    spoilt(path, number, size)
    assert not hdf5_heaps.are_sound(path)


@pytest.mark.parametrize("size", [1, 2**63, 2**64 - 1])
def test_of_another_size_the_library_tells(path, size):
    spoilt(path, 0, size)
    assert hdf5_heaps.are_sound(path)


def test_very_many_objects_are_not_looked_at(path, monkeypatch):
    monkeypatch.setattr(hdf5_heaps, "MOST", 200)
    assert not hdf5_heaps.are_sound(path)


def test_a_text_in_such_a_heap_is_refused_at_once(path):
    spoilt(path, 0, 0)
    script = f"""
from pathlib import Path
from engine.data import hdf5_file
from engine.errors import DataError
with hdf5_file.opened(Path({str(path)!r}), DataError) as file:
    file.text("text")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.rstrip().endswith("DataError: " + f'{path}: damaged: the heap of "text" has no end.')
