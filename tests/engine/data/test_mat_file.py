import os
import struct
import zlib
from contextlib import suppress

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from engine.data import mat_file
from engine.errors import DataError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.mat"
    variables = {
        "data": np.arange(12, dtype=np.uint8).reshape(2, 3, 2),
        "flags": np.array([[True, False]]),
        "words": "some words",
        "cells": np.array([[1, "a"]], dtype=object),
        "spread": scipy.sparse.eye(3).tocsc(),
        "complex": np.array([[1j]]),
    }
    scipy.io.savemat(path, variables, do_compression=True)
    return path


def test_axes_are_in_reverse_and_values_are_float32(path):
    with mat_file.opened(path, DataError) as file:
        assert "data" in file.members()
        assert file.shape("data") == (2, 3, 2)
        values = file.numbers("data")
        assert file.numbers("flags").tolist() == [[1], [0]]
        assert file.shape("other") is None
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    np.testing.assert_array_equal(values, np.arange(12).reshape(2, 3, 2).T)


@pytest.mark.parametrize("name", ["words", "cells", "spread", "complex"])
def test_what_is_no_array_of_numbers_is_refused(path, name):
    with (
        mat_file.opened(path, DataError) as file,
        pytest.raises(DataError, match=rf'x\.mat: "{name}" is .*, not a full array of real numbers'),
    ):
        file.numbers(name)


def test_an_empty_array_of_version_7_3(tmp_path):
    with h5py.File(tmp_path / "x.mat", "w", userblock_size=512) as file:
        file["data"] = np.array([0, 3], np.uint64)
        file["data"].attrs["MATLAB_empty"] = np.uint8(1)
    with (
        mat_file.opened(tmp_path / "x.mat", DataError) as file,
        pytest.raises(DataError, match=r'x\.mat: dataset "data" is an empty MATLAB array'),
    ):
        file.shape("data")


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8"])
def test_every_way_of_writing(tmp_path, options, kind):
    values = np.arange(200, 206).reshape(2, 3).astype(kind)
    scipy.io.savemat(tmp_path / "x.mat", {"before": np.eye(3), "values": values, "behind": 1.5}, **options)
    with mat_file.opened(tmp_path / "x.mat", DataError) as file:
        assert file.members() == ["before", "behind", "values"]
        np.testing.assert_array_equal(file.numbers("values"), values.T)
        assert file.numbers("behind").tolist() == [[1.5]]


def test_what_a_machine_of_the_other_byte_order_wrote(tmp_path):
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI"
    name = struct.pack(">II8s", 1, 4, b"data")
    body = struct.pack(">6I2i", 6, 8, 6, 0, 5, 8, 2, 1) + name + struct.pack(">2I2h4x", 3, 4, 258, -2)
    (tmp_path / "x.mat").write_bytes(head + struct.pack(">II", 14, len(body)) + body)
    with mat_file.opened(tmp_path / "x.mat", DataError) as file:
        assert file.numbers("data").tolist() == [[258, -2]]


def test_an_array_larger_than_memory_is_not_read(path, monkeypatch):
    monkeypatch.setattr(mat_file.memory, "limit", lambda: 100)
    with mat_file.opened(path, DataError) as file, pytest.raises(DataError, match=r'"data" of shape \[2, 3, 2\] takes'):
        file.numbers("data")


def test_damaged_files_are_told_in_words(path):
    good = path.read_bytes()
    rng = np.random.default_rng(1)
    for cut in (0, 1, 100, 128, 200, len(good) - 5):
        path.write_bytes(good[:cut])
        _read_all(path)
    for _ in range(400):
        damaged = bytearray(good)
        for at in rng.integers(100, len(good), 3):
            damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        _read_all(path)


def test_damage_inside_of_what_is_compressed(path):
    scipy.io.savemat(path, {"data": np.arange(12.0).reshape(3, 4)})
    plain = path.read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(400):
        damaged = bytearray(plain[128:])
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        packed = zlib.compress(damaged)
        path.write_bytes(plain[:128] + np.array([15, len(packed)], "<u4").tobytes() + packed)
        _read_all(path)


def _read_all(path):
    """Reads whatever there is. Only DataErrors that name the file are let pass."""
    with suppress(DataError), mat_file.opened(path, NamingError) as file:
        for name in file.members():
            with suppress(DataError):
                file.numbers(name)


class NamingError(DataError):
    def __init__(self, message):
        assert "x.mat: " in message
        super().__init__(message)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "x.mat")
    with (
        pytest.raises(DataError, match=r"x\.mat: cannot be read .*is a pipe"),
        mat_file.opened(tmp_path / "x.mat", DataError),
    ):
        pass


def test_an_array_of_more_axes_than_numpy_allows_is_told(tmp_path):
    def part(number, data):
        return struct.pack("<II", number, len(data)) + data + bytes(-len(data) % 8)

    parts = part(6, struct.pack("<II", 6, 0)) + part(5, struct.pack("<i", 1) * 70) + part(1, b"x") + part(9, bytes(8))
    head = b"MATLAB 5.0".ljust(124) + b"\0\1IM"
    (tmp_path / "x.mat").write_bytes(head + part(14, parts))
    with (
        mat_file.opened(tmp_path / "x.mat", DataError) as file,
        pytest.raises(DataError, match=r"x\.mat: cannot be read as a MATLAB file \(maximum supported dimension"),
    ):
        file.numbers("x")
