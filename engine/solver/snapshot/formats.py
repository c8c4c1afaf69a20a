"""Snapshots: PREFIX_iter_N.caffemodel and .solverstate (or .h5) exactly as Caffe's, and PREFIX_iter_N.resume.json.

A snapshot exists once its solver state does: model and resume file are written first, each under a temporary name that
is changed when the bytes are on disk. So an interrupted write never leaves a file that looks complete.
"""

import glob
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine import log, suggest
from engine.data import hdf5_file
from engine.errors import SnapshotError
from engine.graph import model_fit
from engine.host import regular_file
from engine.host.atomic_file import replace, writing
from engine.net import weights
from engine.net.net import Net
from engine.net.parameters import Param
from engine.printable import printable
from engine.proto import binary, paths, raw_bytes
from engine.proto import caffe_pb2 as pb
from engine.solver.snapshot import resume_file


@dataclass(frozen=True)
class State:
    """The solver state that Caffe stores.

    history: the first array of the update rule for each parameter, then the second array for each.
    """

    iteration: int
    current_step: int
    history: list[np.ndarray]
    learned_net: str = ""


@dataclass(frozen=True)
class Files:
    """The three files of one snapshot."""

    model: Path
    state: Path
    resume: Path

    @classmethod
    def of(cls, prefix: str, iteration: int, hdf5: bool) -> "Files":
        stem, suffix = raw_bytes.native(f"{prefix}_iter_{iteration}"), ".h5" if hdf5 else ""
        return cls(Path(f"{stem}.caffemodel{suffix}"), Path(f"{stem}.solverstate{suffix}"), Path(f"{stem}.resume.json"))

    def remove(self) -> None:
        """Deletes the files, the state first, so that what is left is never taken for a snapshot."""
        for path in (self.state, self.resume, self.model):
            path.unlink(missing_ok=True)


# Writing


def write(
    files: Files, net: Net, params: Sequence[Any], steps: Sequence[Any] | None, state: State, resume: Mapping[str, Any]
) -> None:
    """Writes all three files. steps: the last updates, stored as the model's diffs. Raises SnapshotError.

    If the state cannot be written, a complete model stays: it may be all that is left of the run. Incomplete files that
    a killed process left of this same snapshot are deleted.
    """
    for path in (files.model, files.resume, files.state):
        for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            leftover.unlink(missing_ok=True)
    with writing(files.model, SnapshotError):
        if files.model.suffix == ".h5":
            write_model_hdf5(files.model, net, params, steps)
        else:
            binary.write(files.model, weights.to_model(net, params, steps))
    try:
        with writing(files.resume, SnapshotError):
            replace(files.resume, resume_file.written(resume))
        with writing(files.state, SnapshotError):
            if files.state.suffix == ".h5":
                _write_state_hdf5(files.state, state)
            else:
                binary.write(files.state, _to_message(state))
    except SnapshotError as e:
        if not files.state.is_file():
            files.resume.unlink(missing_ok=True)
        raise SnapshotError(f"{e} The model is complete; to start from it: -weights {files.model}") from e


def check_writable(prefix: str) -> None:
    """Raises SnapshotError if snapshots with this prefix could not be written."""
    probe = paths.native(f"{prefix}_iter_0.tempfile.{os.getpid()}")
    try:
        probe.touch()
        probe.unlink()
    except OSError as e:
        remedy = "Make that folder, or choose" if isinstance(e, FileNotFoundError) else "Choose"
        raise SnapshotError(
            f"snapshot_prefix {prefix!r}: {probe.parent}: {e.strerror}. {remedy} another prefix."
        ) from e


def check_size(params: Sequence[Any], *, hdf5: bool, diffs: bool) -> None:
    """Raises SnapshotError if the model would be larger than a .caffemodel can be."""
    size = sum(4 * int(np.prod(p.shape)) for p in params) * (2 if diffs else 1)
    if not hdf5 and size > binary.LIMIT:
        raise SnapshotError(
            f"the model has {size / 1e9:.1f} GB of parameters, but a .caffemodel holds 2 GB; set snapshot_format: HDF5."
        )


def _to_message(state: State) -> pb.SolverState:
    message = pb.SolverState(
        iter=state.iteration, learned_net=raw_bytes.kept(state.learned_net), current_step=state.current_step
    )
    message.history.extend(binary.from_array(h) for h in state.history)
    return message


def check_names(net: Net) -> None:
    """Raises SnapshotError if two layers with parameters share a name, by which HDF5 stores their arrays."""
    names = Counter(layer.name for layer in net.layers if layer.params)
    if several := [name for name, number in names.items() if number > 1]:
        raise SnapshotError(
            f"{names[several[0]]} layers with parameters are called {several[0]!r}, and HDF5 keeps them by name: "
            "rename all but one, or set snapshot_format: BINARYPROTO."
        )


def write_model_hdf5(path: Path, net: Net, params: Sequence[Any], steps: Sequence[Any] | None) -> None:
    """Writes /data/LAYER/INDEX for each parameter at its owner, and /diff/LAYER/INDEX for all; every layer has a group.

    Raises SnapshotError, as `check_names` does.
    """
    check_names(net)
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for i, layer in enumerate(net.layers):
            data = file.require_group(f"data/{layer.name}")
            diff = file.require_group(f"diff/{layer.name}") if steps is not None else None
            for n, k in enumerate(net.param_ids[i]):
                decl = layer.params[n]
                if (net.params[k].layer, net.params[k].index) == (layer.name, n):
                    data[str(n)] = np.asarray(weights.in_layer(net, k, decl, params[k]), np.float32)
                if diff is not None and steps is not None:
                    diff[str(n)] = np.asarray(weights.in_layer(net, k, decl, steps[k]), np.float32)
    replace(path, image.getvalue())


def _write_state_hdf5(path: Path, state: State) -> None:
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file["iter"] = np.array([state.iteration], np.int32)
        file["current_step"] = np.array([state.current_step], np.int32)
        _write_c_string(file, "learned_net", state.learned_net)
        history = file.create_group("history")
        for i, h in enumerate(state.history):
            history[str(i)] = h
    replace(path, image.getvalue())


def _write_c_string(file: h5py.File, name: str, value: str) -> None:
    """Writes a string with a terminating zero, which Caffe's reader relies on and h5py's own strings lack."""
    kind = h5py.h5t.C_S1.copy()
    data = raw_bytes.encoded(value) + b"\0"
    kind.set_size(len(data))
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_obj_track_times(False)  # as in h5py's own datasets; otherwise no two runs write the same file
    dataset = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR), layout)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(data), kind)


# History: one tuple per parameter in the solver, one flat list in Caffe's files


def flatten(history: Sequence[tuple[Any, ...]]) -> list[np.ndarray]:
    """The first arrays of all parameters, then the second ones; on the host."""
    return [np.asarray(slots[n]) for n in range(len(history[0]) if history else 0) for slots in history]


def unflatten(flat: Sequence[np.ndarray], params: Sequence[Param], slots: int, source: str) -> list[tuple[Any, ...]]:
    """The inverse of `flatten`, with `slots` arrays per parameter. Raises SnapshotError, beginning with `source` (the
    file and the solver type)."""
    count = len(params)
    if len(flat) != count * slots:
        raise SnapshotError(
            f"{source} keeps {count * slots} arrays of history for this net, but there are {len(flat)}: the state was "
            "written by another type of solver, or for another net."
        )
    for k, array in enumerate(flat):
        p = params[k % count]
        if array.size != np.prod(p.shape, dtype=int):
            raise SnapshotError(
                f"{source}: the history of parameter {p.index} of layer {p.layer!r} has shape {list(array.shape)} "
                f"there, but {list(p.shape)} in this net."
            )
    shaped = [array.reshape(params[k % count].shape) for k, array in enumerate(flat)]
    return [tuple(shaped[k::count]) for k in range(count)]


# Reading


def load_model(path: str | Path, net: Net, params: Sequence[Any]) -> list[Any]:
    """`params` with those from a model, binary or HDF5, by layer name. Raises SnapshotError and PrototxtError."""
    _check_there(path, "model", "*.caffemodel*")
    if str(path).endswith(".h5") or h5py.is_hdf5(path):  # whatever its name, as in Caffe
        return weights.load_blobs(net, params, _read_blobs_hdf5(Path(path), net, params), str(path))
    model = binary.read_net(path)
    tell_ignored((layer.name for layer in model.layer), net)
    return weights.load_model(net, params, model, str(path))


def tell_ignored(names: Iterable[str], net: Net) -> None:
    """Logs each of `names`, the layers of a model, that `net` does not have."""
    own = {layer.name for layer in net.layers}
    for name in names:
        if name not in own:
            log.info("net.cpp:678", f"Ignoring source layer {printable(name, one_line=True)}")


def read_state(path: str | Path) -> State:
    """Reads a .solverstate, binary or .h5. Raises SnapshotError if it is missing, truncated or something else."""
    path = Path(path)
    if ".caffemodel" in path.name:
        raise SnapshotError(
            f"{path}: this is a model, but resuming needs a solver state: give -snapshot the .solverstate beside it, "
            "or give the model to -weights to start a new training from it."
        )
    _check_there(path, "solver state", "*.solverstate*")
    if path.suffix == ".h5":
        return _read_state_hdf5(path)
    message = binary.read(path, pb.SolverState)
    if not message.HasField("iter"):
        raise SnapshotError(f"{path}: this is no solver state: it has no iteration.")
    try:
        history = [binary.to_array(blob) for blob in message.history]
    except SnapshotError as e:
        raise SnapshotError(f"{path}: {e}") from e
    return _checked(State(message.iter, message.current_step, history, message.learned_net), path)


def _check_there(path: str | Path, what: str, pattern: str) -> None:
    """Raises SnapshotError if `path` is not a file, naming the files there that match `pattern`."""
    try:
        regular_file.check(path)
    except FileNotFoundError:
        raise SnapshotError(f"{path}: no such {what}.{suggest.beside(Path(path), pattern)}") from None
    except OSError as e:
        raise SnapshotError(f"{path}: cannot be read: {e.strerror}.") from e


def _checked(state: State, path: Path) -> State:
    for what, value in (("iteration", state.iteration), ("current_step", state.current_step)):
        if not 0 <= value < 2**31:
            raise SnapshotError(f"{path}: its {what} is {value}; 0 to {2**31 - 1} are possible.")
    return state


def find_model(state: State, path: str | Path) -> Path:
    """The model that a state names: beside the state file, or where it was written. Raises SnapshotError."""
    model_path = paths.native(state.learned_net)
    for candidate in (Path(path).parent / model_path.name, model_path):
        if regular_file.is_file(candidate):
            return candidate
    raise SnapshotError(f"{path}: its model {state.learned_net} is neither there nor in {Path(path).parent}.")


def latest(prefix: str) -> Path | None:
    """The solver state with this prefix and the highest iteration, or None."""
    base = paths.native(prefix)
    name = re.compile(re.escape(base.name) + r"_iter_(\d+)\.solverstate(\.h5)?")
    folder = base.parent
    snapshots = (
        [(int(m[1]), p) for p in folder.glob("*") if (m := name.fullmatch(p.name))]
        if regular_file.is_folder(folder)
        else []
    )
    return max(snapshots)[1] if snapshots else None


def _read_blobs_hdf5(path: Path, net: Net, params: Sequence[Any]) -> dict[str, list[np.ndarray]]:
    """The arrays in /data by layer. A shared one is read from its owner, or else keeps its value in `params`."""
    with hdf5_file.opened(path, SnapshotError) as file:
        if "data" not in file:
            raise file.wrong("this is no model: it has no group /data.")
        tell_ignored(file.members("data"), net)
        blobs: dict[str, list[np.ndarray]] = {}
        for i, layer in enumerate(net.layers):
            group = f"data/{layer.name}"
            if group not in file or not weights.compared(net, layer):
                continue
            number = sum(file.is_dataset(f"{group}/{name}") for name in file.members(group))
            if number > len(layer.params):
                raise file.wrong(model_fit.incompatible(layer.name, number, len(layer.params)))
            blobs[layer.name] = [_one_blob(file, net, params, i, n) for n in range(len(layer.params))]
        return blobs


def _one_blob(file: hdf5_file.HDF5File, net: Net, params: Sequence[Any], i: int, n: int) -> np.ndarray:
    layer, k = net.layers[i], net.param_ids[i][n]
    if file.is_dataset(f"data/{layer.name}/{n}"):
        return file.numbers(f"data/{layer.name}/{n}")
    owner = net.params[k]
    if (owner.layer, owner.index) == (layer.name, n):
        raise file.wrong(f"layer {layer.name!r} has no parameter {n} there.")
    owner_path = f"data/{owner.layer}/{owner.index}"
    # The shape is checked at the owner; with share_mode: PERMISSIVE this layer's may differ.
    value = file.numbers(owner_path) if file.is_dataset(owner_path) else params[k]
    return weights.in_layer(net, k, layer.params[n], value)


def _read_state_hdf5(path: Path) -> State:
    with hdf5_file.opened(path, SnapshotError) as file:
        for name in ("history", "iter", "current_step"):
            if name not in file:
                raise file.wrong(f"this is no solver state: it has no {name}.")
        history = [file.numbers(f"history/{i}") for i in range(len(file.members("history")))]
        state = State(file.integer("iter"), file.integer("current_step"), history, file.text("learned_net"))
        return _checked(state, path)
