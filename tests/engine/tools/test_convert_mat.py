from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.data.backends import READERS
from engine.data.datum import parse, pixels
from engine.tools import convert_mat

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6)).astype(np.float64)
"""number × channels × height × width, as it lies in a file of version 7.3."""


def made(path: Path, **arrays: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def run(*args: object) -> int:
    return convert_mat.main([str(arg) for arg in args])


def records(path: Path, backend: str = "lmdb") -> list[tuple[np.ndarray, int]]:
    found = list(READERS[backend](path).records())
    assert [key for key, _ in found] == [b"%08d" % i for i in range(len(found))]
    return [(pixels(parse(value)), parse(value).label) for _, value in found]


@pytest.mark.parametrize("backend", READERS)
def test_whole_numbers_become_bytes(tmp_path, backend, capsys):
    source = made(tmp_path / "x.mat", data=PICTURES, label=np.arange(5.0)[None])
    assert run("-backend", backend, source, tmp_path / "db") == 0
    found = records(tmp_path / "db", backend)
    assert np.array_equal([picture for picture, _ in found], PICTURES)
    assert found[0][0].dtype == np.uint8
    assert [label for _, label in found] == [0, 1, 2, 3, 4]
    assert [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "A total of 5 items, 3×4×6 (channels × height × width).",
        "Processed 5 files.",
    ]


def test_other_numbers_become_floats(tmp_path):
    source = made(tmp_path / "x.mat", data=PICTURES - 0.5, label=[-1, 0, 1, 2, 3])
    assert run(source, tmp_path / "db") == 0
    found = records(tmp_path / "db")
    assert found[0][0].dtype == np.float32
    assert np.array_equal([picture for picture, _ in found], PICTURES - 0.5)
    assert found[0][1] == -1


def test_names_axes_and_no_labels(tmp_path):
    source = made(tmp_path / "x.mat", X=PICTURES.swapaxes(2, 3), f=PICTURES[:, :, 0, 0], g=PICTURES[:, 0])
    assert run("-data", "X", "-label=", "-transpose", source, tmp_path / "turned") == 0
    assert np.array_equal([picture for picture, _ in records(tmp_path / "turned")], PICTURES)
    assert run("-data=f", "-label=", source, tmp_path / "flat") == 0
    assert np.array_equal([picture for picture, _ in records(tmp_path / "flat")], PICTURES[:, :, :1, :1])
    assert run("-data=g", "-label=", source, tmp_path / "grey") == 0
    assert np.array_equal([picture for picture, _ in records(tmp_path / "grey")], PICTURES[:, :1])


def test_a_file_of_an_older_version(tmp_path):
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    values = np.arange(6, dtype="<f8").tobytes()  # 2 × 3 in MATLAB: three rows of two channels
    flags = b"\6\0\0\0\x08\0\0\0\6\0\0\0\0\0\0\0"
    dims = b"\5\0\0\0\x08\0\0\0\2\0\0\0\3\0\0\0"
    body = flags + dims + b"\1\0\4\0data" + b"\x09\0\0\0" + len(values).to_bytes(4, "little") + values
    (tmp_path / "old.mat").write_bytes(header + b"\x0e\0\0\0" + len(body).to_bytes(4, "little") + body)
    assert run("-label=", tmp_path / "old.mat", tmp_path / "db") == 0
    assert [picture.ravel().tolist() for picture, _ in records(tmp_path / "db")] == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("arrays", "flags", "says"),
    [
        ({"X": PICTURES}, [], 'it has no array "data", only "X". Name one with -data NAME.'),
        ({"data": PICTURES}, [], 'it has no array "label", only "data". Name one with -label NAME.'),
        ({"data": PICTURES, "label": [1, 2]}, [], '"label" has 2 values, but there are 5 pictures'),
        ({"data": PICTURES, "label": [1, 2, 3, 0.5, 4]}, [], '"label" has 0.5 for picture 3'),
        ({"data": PICTURES, "label": [1, 2, 3, 4, np.nan]}, [], '"label" has nan for picture 4'),
        ({"data": PICTURES.ravel()}, ["-label="], '"data" is 360 (outermost axis first)'),
    ],
)
def test_bad_input_makes_no_database(tmp_path, capsys, arrays, flags, says):
    source = made(tmp_path / "x.mat", **arrays)
    assert run(*flags, source, tmp_path / "db") == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]


def test_no_file_and_no_arguments(tmp_path, capsys):
    assert run(tmp_path / "gone.mat", tmp_path / "db") == 2
    assert "gone.mat: cannot be read" in capsys.readouterr().err
    assert run() == 1
