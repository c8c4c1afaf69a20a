"""Caffe's files: what we write is what Caffe wrote, and what is broken is refused."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.small_nets import INPUT, ip, made
from support.tiny_solver import GOLDEN, MakeSolver, train, values

from engine.errors import SnapshotError
from engine.proto import caffe_pb2 as pb
from engine.solver.snapshot import formats


def _outline(path: Path) -> dict[str, tuple]:
    """Every group and dataset of an HDF5 file, with shape, type and how strings end."""
    found: dict[str, tuple] = {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        kind = item.id.get_type() if isinstance(item, h5py.Dataset) else None
        string = (kind.get_size(), kind.get_strpad()) if isinstance(kind, h5py.h5t.TypeStringID) else None
        found[name] = (getattr(item, "shape", None), getattr(item, "dtype", None), string)

    with h5py.File(path) as file:
        file.visititems(note)
    return found


def _times(path: Path) -> set[int]:
    """When the datasets of an HDF5 file were made, 0 where it does not say."""
    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return {h5py.h5g.get_objinfo(file.id, name.encode()).mtime for name in names}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone", "no such"),
        ("n" * 300, "cannot be read: File name too long"),
        (".", "cannot be read: is a folder"),
        ("/dev/zero", "cannot be read: is a device"),
        ("a\0b", "cannot be read: its name holds a zero byte"),
    ],
)
def test_what_is_no_file_is_told(name, says):
    with pytest.raises(SnapshotError, match=says):
        formats.read_state(name)
    with pytest.raises(SnapshotError, match=says):
        formats.load_model(name, made(INPUT), [])


def test_hdf5_files_are_laid_out_as_caffes(make_solver: MakeSolver):
    solver = make_solver("momentum: 0.9 snapshot_format: HDF5")
    train(solver, 8)
    files = solver.snapshot()
    assert files.state.name == "model_iter_8.solverstate.h5"
    assert _outline(files.model) == _outline(GOLDEN / "sgd_hdf5/model.caffemodel.h5")
    assert _outline(files.state) == _outline(GOLDEN / "sgd_hdf5/model.solverstate.h5")
    assert _times(files.model) | _times(files.state) == {0}, "two runs would not write the same files"


def test_hdf5_refuses_layers_of_one_name(tmp_path: Path):
    net = made(INPUT + ip("a", "x", "h", 3) + ip("a", "h", "y", 3))
    with pytest.raises(SnapshotError, match=r"2 layers with parameters are called 'a', .* BINARYPROTO"):
        formats.write_model_hdf5(tmp_path / "m.h5", net, net.init(0), None)


def test_a_layer_without_parameters_may_be_called_as_one_with_some(tmp_path: Path):
    net = made(INPUT + ip("a", "x", "h", 3) + 'layer { name: "a" type: "ReLU" bottom: "h" top: "h" }')
    formats.write_model_hdf5(tmp_path / "m.h5", net, net.init(0), None)
    back = formats.load_model(tmp_path / "m.h5", net, net.init(1))
    assert all((a == b).all() for a, b in zip(back, net.init(0), strict=True))


@pytest.mark.parametrize("case", ["sgd_fixed", "adam"])
def test_binary_state_equals_caffes_but_for_the_values(case: str, make_solver: MakeSolver):
    solver = make_solver("momentum: 0.9" if case == "sgd_fixed" else 'type: "Adam" momentum: 0.9')
    train(solver, 8)
    ours, caffes = pb.SolverState(), pb.SolverState()
    ours.ParseFromString(solver.snapshot().state.read_bytes())
    caffes.ParseFromString((GOLDEN / case / "model.solverstate").read_bytes())
    for message in (ours, caffes):
        for blob in message.history:
            blob.data[:] = [0.0] * len(blob.data)
    assert ours == caffes


def test_binary_model_equals_caffes_but_for_the_values(make_solver: MakeSolver):
    files = make_solver().snapshot()
    ours, caffes = pb.NetParameter(), pb.NetParameter()
    ours.ParseFromString(files.model.read_bytes())
    caffes.ParseFromString((GOLDEN / "sgd_fixed/model.caffemodel").read_bytes())
    shapes = [
        [(layer.name, list(b.shape.dim), len(b.data)) for layer in m.layer for b in layer.blobs] for m in (ours, caffes)
    ]
    assert shapes[0] == shapes[1]
    assert [layer.name for layer in ours.layer] == [layer.name for layer in caffes.layer]


@pytest.mark.parametrize("kind", ["BINARYPROTO", "HDF5"])
def test_snapshot_diff_keeps_the_last_updates(kind: str, make_solver: MakeSolver):
    solver = make_solver(f"snapshot_diff: true snapshot_format: {kind}")
    train(solver, 2)
    before = values(solver)
    train(solver, 3)
    files = solver.snapshot()
    if kind == "HDF5":
        with h5py.File(files.model) as file:
            diff = file["diff/ip1/0"][()]
    else:
        model = pb.NetParameter()
        model.ParseFromString(files.model.read_bytes())
        diff = np.array(next(m for m in model.layer if m.name == "ip1").blobs[0].diff).reshape(7, 6)
    np.testing.assert_allclose(diff, before[0] - values(solver)[0], atol=1e-6)


def test_a_model_given_as_a_state_is_told_apart(make_solver: MakeSolver):
    solver = make_solver()
    files = solver.snapshot()
    with pytest.raises(SnapshotError, match=r"this is a model.*-weights"):
        solver.restore(files.model)


def test_a_failing_disk_leaves_no_state_behind(make_solver: MakeSolver, monkeypatch, tmp_path: Path):
    solver = make_solver()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats, "replace", full)
    with pytest.raises(SnapshotError, match="No space left on device"):
        solver.snapshot()
    assert not list(tmp_path.glob("*.solverstate"))


def test_a_state_that_cannot_be_written_leaves_the_model_and_nothing_else(make_solver: MakeSolver, tmp_path: Path):
    (tmp_path / "model_iter_0.solverstate").mkdir()
    with pytest.raises(SnapshotError, match=r"solverstate: cannot be written.*-weights model_iter_0\.caffemodel"):
        make_solver().snapshot()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model_iter_0.caffemodel", "model_iter_0.solverstate"]


def test_latest_is_the_state_of_the_highest_iteration(tmp_path: Path):
    for name in ("m_iter_9", "m_iter_10", "m_iter_100x", "other_iter_500"):
        (tmp_path / f"{name}.solverstate").touch()
    (tmp_path / "m_iter_11.caffemodel").touch()
    assert formats.latest(str(tmp_path / "m")) == tmp_path / "m_iter_10.solverstate"
    assert formats.latest(str(tmp_path / "none")) is None


def test_a_model_is_found_beside_its_state_when_both_have_moved(make_solver: MakeSolver, tmp_path: Path):
    solver = make_solver()
    train(solver, 1)
    files = solver.snapshot()
    (tmp_path / "moved").mkdir()
    for path in (files.model, files.state, files.resume):
        shutil.move(path, tmp_path / "moved")
    again = make_solver()
    again.restore(tmp_path / "moved" / files.state.name)
    assert again.iter == 1
    (tmp_path / "moved" / files.model.name).unlink()
    with pytest.raises(SnapshotError, match=r"its model model_iter_1\.caffemodel is neither there nor in"):
        again.restore(tmp_path / "moved" / files.state.name)
