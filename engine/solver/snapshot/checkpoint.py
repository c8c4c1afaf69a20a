"""Converts the state of a run to the files of a snapshot, and back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax

from engine import log
from engine.devices.data_parallel import DataParallel
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.solver.best_tracker import Best
from engine.solver.snapshot import fingerprint, formats, resume_file
from engine.solver.snapshot.formats import Files
from engine.solver.snapshot.retention import SnapshotSeries
from engine.solver.state import DataPositions, TrainState
from engine.solver.updates import Update

Array = jax.Array


@dataclass(frozen=True)
class Checkpointer:
    """Saves and restores the states of a run of `net` on the devices of `parallel`, with settings `param` and update
    rule `update`. series: the snapshots of the run.
    """

    param: pb.SolverParameter
    net: Net
    update: Update[Any]
    parallel: DataParallel
    series: SnapshotSeries

    def save(self, state: TrainState, steps: Sequence[Array] | None) -> tuple[Files, TrainState]:
        """Writes model, solver state and resume file, and deletes the snapshots that are no longer kept.

        Only the root writes, but the processes of other nodes must call this too. steps: what the last update
        subtracted from each parameter. Returns the files, and the state with its new list of snapshots. Raises
        SnapshotError.
        """
        files = self.series.files(state.iteration)
        recurrent_state = [self.parallel.gathered(state.params[k]).tolist() for k in self.net.recurrent_state]
        if not self.parallel.root:
            return files, state
        kind = "HDF5" if self.series.hdf5 else "binary proto"
        log.info("solver.cpp:464", f"Snapshotting to {kind} file {files.model}")
        log.info("sgd_solver.cpp:284", f"Snapshotting solver state to {kind} file {files.state}")
        # Snapshots to be deleted stay listed until they are, also in the resume file: if the process is killed before,
        # the next snapshot deletes them.
        listed = [*(i for i in state.snapshots if i != state.iteration), state.iteration]
        surplus = self.series.surplus(listed, state.best.iteration if state.best else -1)
        history = formats.flatten([state.history[k] for k in self.net.model_params])
        caffe_state = formats.State(state.iteration, state.current_step, history, str(files.model))
        resume = self._resume(replace(state, snapshots=listed), recurrent_state)
        diffs = (steps or [jax.numpy.zeros_like(p) for p in state.params]) if self.param.snapshot_diff else None
        formats.write(files, self.net, state.params, diffs, caffe_state, resume)
        self.series.remove(surplus)
        return files, replace(state, snapshots=[i for i in listed if i not in surplus])

    def _resume(self, state: TrainState, recurrent_state: list[Any]) -> dict[str, Any]:
        """What a resumed run needs besides Caffe's state to continue as if it had never stopped."""
        return {
            "seed": state.seed,
            "data": state.data.train,
            "test_data": state.data.tests,
            "memories": recurrent_state,
            "losses": [float(loss) for loss in state.losses],
            "kept": state.snapshots,
            "sizes": state.sizes,
            "watch": _to_json(state.best) if state.best else None,
            "run": self._fingerprint(),
        }

    def _fingerprint(self) -> dict[str, Any]:
        return fingerprint.of(self.param, self.net, self.parallel.count)

    def restore(self, path: str | Path, state: TrainState, *, changed: bool) -> TrainState:
        """`state`, with those parts replaced that the solver state in `path` has. See `Solver.restore`."""
        log.info("solver.cpp:295", f"Restoring previous solver status from {path}")
        caffe_state = formats.read_state(path)
        resume = resume_file.read(path)
        if resume is not None and not changed:
            fingerprint.check(resume.run.as_json(), self._fingerprint(), str(path))
        state = self._with_caffe_state(state, caffe_state, path)
        if resume is None:
            log.warning(
                "solver.cpp:296",
                f"{path} has no .resume.json beside it: the data is read from its first record again, and random "
                f"numbers, shuffling and the averaged loss start over.",
            )
            return state
        params = list(state.params)
        for k, value in zip(self.net.recurrent_state, resume.memories, strict=False):
            params[k] = self.parallel.each_own(value, self.net.params[k].shape)
        return replace(
            state,
            params=params,
            seed=resume.seed,
            losses=resume.losses[-self.param.average_loss :],
            data=DataPositions(resume.data, resume.test_data),
            best=_best(resume.watch) if state.best and resume.watch else state.best,
            snapshots=resume.kept,
            sizes=resume.sizes,
        )

    def _with_caffe_state(self, state: TrainState, caffe_state: formats.State, path: str | Path) -> TrainState:
        """`state` with what Caffe's files hold: parameters, history, iteration, current step."""
        model_params = [self.net.params[k] for k in self.net.model_params]
        if Path(path).suffix != ".h5":  # Caffe doesn't log this for HDF5
            log.info("sgd_solver.cpp:318", "SGDSolver: restoring history")
        arrays = formats.unflatten(caffe_state.history, model_params, self.update.slots, f"{path}: {self.param.type}")
        history = [self.update.state._make(slots) for slots in arrays]
        params = state.params
        if caffe_state.learned_net:
            model = formats.find_model(caffe_state, path)
            params = self.parallel.params(self.net, formats.load_model(model, self.net, params))
        history += self.update.init([params[k] for k in self.net.recurrent_state])
        return replace(
            state,
            params=params,
            history=self.parallel.history(self.net, history),
            iteration=caffe_state.iteration,
            current_step=caffe_state.current_step,
        )


def _to_json(best: Best) -> dict[str, Any]:
    return {
        "best": best.value,
        "iteration": best.iteration,
        "tests_since": best.tests_since,
        "plateau": best.plateau,
    }


def _best(best_test: resume_file.BestTest) -> Best:
    return Best(best_test.best, best_test.iteration, best_test.tests_since, best_test.plateau)
