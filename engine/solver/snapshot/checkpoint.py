"""From a solver to the files of a snapshot, and back: all that a run is made of when it is not running."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import log
from engine.solver.snapshot import fingerprint, formats
from engine.solver.snapshot.formats import Files

if TYPE_CHECKING:
    from engine.solver.solver import Solver


def save(solver: "Solver") -> Files:
    """Writes model, solver state and resume file, and deletes the snapshots that are not kept any longer.

    The root writes; the processes of other nodes call this too. Raises SnapshotError.
    """
    shelf = solver.shelf
    files = shelf.files(solver.iter)
    recurrent_state = [solver.parallel.gathered(solver.params[k]).tolist() for k in solver.net.recurrent_state]
    if not solver.parallel.root:
        return files
    kind = "HDF5" if shelf.hdf5 else "binary proto"
    log.info("solver.cpp:464", f"Snapshotting to {kind} file {files.model}")
    log.info("sgd_solver.cpp:284", f"Snapshotting solver state to {kind} file {files.state}")
    history = formats.flatten([solver.history[k] for k in solver.net.kept])
    state = formats.State(solver.iter, solver.current_step, history, str(files.model))
    surplus = shelf.put(solver.iter, solver.watch.iteration if solver.watch else -1)
    steps = solver.steps if solver.param.snapshot_diff else None
    formats.write(files, solver.net, solver.params, steps, state, _resume(solver, recurrent_state))
    shelf.remove(surplus)
    return files


def _resume(solver: "Solver", recurrent_state: list[Any]) -> dict[str, Any]:
    """What a resumed run needs besides Caffe's state to go on as if it had never stopped."""
    return {
        "seed": solver.seed,
        "data": solver.batches.state(),
        "test_data": [test.batches.state() for test in solver.test_nets],
        "memories": recurrent_state,
        "losses": [float(loss) for loss in solver.losses],
        "kept": solver.shelf.iterations,
        "watch": solver.watch.state() if solver.watch else None,
        "run": fingerprint.of(solver.param, solver.net, solver.parallel.count),
    }


def restore(solver: "Solver", path: str | Path, *, changed: bool) -> None:
    """Puts a solver where the run stood that wrote the state `path`. See `Solver.restore`."""
    log.info("solver.cpp:295", f"Restoring previous solver status from {path}")
    state = formats.read_state(path)
    resume = formats.read_resume(path)
    if resume is not None and not changed:
        fingerprint.check(resume["run"], fingerprint.of(solver.param, solver.net, solver.parallel.count), str(path))
    kept = [solver.net.params[k] for k in solver.net.kept]
    history = formats.unflatten(state.history, kept, solver.update.slots, f"{path}: {solver.param.type}")
    if state.learned_net:
        model = formats.find_model(state, path)
        solver.params = solver.parallel.params(solver.net, formats.load_model(model, solver.net, solver.params))
    history += solver.update.init([solver.params[k] for k in solver.net.recurrent_state])
    solver.history = solver.parallel.history(solver.net, history)
    solver.iter, solver.current_step = state.iteration, state.current_step
    if resume is None:
        log.warning(
            "solver.cpp:296",
            f"{path} has no .resume.json beside it: the data is read from its first record again, and random "
            f"numbers, shuffling and the averaged loss start anew.",
        )
        return
    solver.reseed(resume["seed"])
    for k, value in zip(solver.net.recurrent_state, resume["memories"], strict=False):
        solver.params[k] = solver.parallel.each_own(np.asarray(value, np.float32), solver.net.params[k].shape)
    solver.losses.clear()
    solver.losses.extend(resume["losses"])
    solver.shelf.iterations = resume["kept"]
    if solver.watch and resume["watch"]:
        solver.watch.restore(resume["watch"])
    solver.batches.restore(resume["data"])
    for test, position in zip(solver.test_nets, resume["test_data"], strict=False):
        test.batches.restore(position)
