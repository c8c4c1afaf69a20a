from pathlib import Path

import h5py
import numpy as np
import pytest
from support.small_nets import SMALL, made

from engine.errors import EngineError, SnapshotError
from engine.net import weights
from engine.proto import binary
from engine.solver.snapshot import formats
from engine.tools import model_arrays
from engine.tools.model_arrays import Statistics

NET = made(SMALL.replace('name: "b"', 'name: "b/c"', 1))


def arrays(entries: list[model_arrays.Entry]) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(entry.layer, entry.index, entry.values.shape) for entry in entries]


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_a_model_s_arrays_are_those_of_its_layers(tmp_path: Path, suffix: str) -> None:
    path, params = tmp_path / f"a{suffix}", NET.init(0)
    if suffix.endswith(".h5"):
        formats.write_model_hdf5(path, NET, params, None)
    else:
        binary.write(path, weights.to_model(NET, params))
    found = model_arrays.read(path).entries
    assert arrays(found) == [("a", 0, (4, 3)), ("a", 1, (4,)), ("b/c", 0, (3, 4)), ("b/c", 1, (3,))]
    np.testing.assert_array_equal(found[2].values, np.reshape(params[2], (3, 4)))


@pytest.mark.parametrize("hdf5", [False, True])
def test_a_solver_state_s_are_its_history(tmp_path: Path, hdf5: bool) -> None:
    files = formats.Files.of(str(tmp_path / "a"), 12, hdf5)
    state = formats.State(12, 0, [np.ones((4, 3), np.float32)], "a.caffemodel")
    formats.write(files, NET, NET.init(0), None, state, {})
    found = model_arrays.read(files.state)
    assert arrays(found.entries) == [("history", 0, (4, 3))]
    assert found.about == "solver state of iteration 12, its model: a.caffemodel"


def test_statistics_leave_out_what_is_no_finite_number() -> None:
    values = np.float32([[3, -4, 0, 0], [np.nan, np.inf, 0, 0]])
    assert model_arrays.statistics(values) == Statistics(5, -4, 3, 0.5, 2)
    nothing = model_arrays.statistics(np.zeros((0, 3), np.float32))
    assert (nothing.norm, nothing.zeros, nothing.others) == (0, 0, 0)
    assert np.isnan([nothing.least, nothing.largest]).all()


def test_a_file_that_goes_round_in_circles_comes_to_an_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("data")
        for name in ("a", "b"):
            group[name] = group
    with pytest.raises(SnapshotError, match=r"a.h5: "):
        model_arrays.read(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["x", "9" * 5000])
def test_an_array_with_a_name_of_no_number_is_told(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[f"data/ip/{name}"] = [1.0]
    with pytest.raises(SnapshotError, match=r"is not an array of a layer"):
        model_arrays.read(tmp_path / "a.h5")


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.caffemodel").write_bytes(content)
    with pytest.raises(EngineError, match=r"a.caffemodel"):
        model_arrays.read(tmp_path / "a.caffemodel")
