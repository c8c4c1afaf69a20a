"""From a run's state to files and back: nothing is lost, nothing is half taken."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from support.tiny_solver import MakeSolver, train, values

from engine.errors import EngineError, SnapshotError
from engine.proto import binary
from engine.solver.state import TrainState


def _assert_same(mine: TrainState, theirs: TrainState) -> None:
    for field in dataclasses.fields(TrainState):
        jax.tree.map(np.testing.assert_array_equal, getattr(mine, field.name), getattr(theirs, field.name))


def test_before_the_first_iteration_the_diffs_of_a_snapshot_are_0(make_solver: MakeSolver):
    model = binary.read_net(make_solver("snapshot_diff: true").snapshot().model)
    diffs = [list(blob.diff) for layer in model.layer for blob in layer.blobs]
    assert diffs == [[0.0] * len(blob.data) for layer in model.layer for blob in layer.blobs]


@pytest.mark.parametrize("kind", ["BINARYPROTO", "HDF5"])
def test_a_snapshot_brings_back_everything(kind: str, make_solver: MakeSolver):
    settings = f'type: "Adam" momentum: 0.9 snapshot_format: {kind}'
    solver = make_solver(settings)
    train(solver, 3)
    files = solver.snapshot()
    again = make_solver(settings)
    again.restore(files.state)
    assert (again.iter, again.state.seed) == (3, solver.state.seed)
    for mine, theirs in zip(values(again), values(solver), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(again.state.history, solver.state.history, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("kind", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("part", ["model", "state"])
@pytest.mark.parametrize("left", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused_and_changes_nothing(kind, part, left, make_solver: MakeSolver):
    files = make_solver(f"momentum: 0.9 snapshot_format: {kind}").snapshot()
    path = getattr(files, part)
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    again = make_solver(f"momentum: 0.9 snapshot_format: {kind}")
    before = values(again)
    with pytest.raises(EngineError, match=path.name):
        again.restore(files.state)
    assert again.iter == 0
    for mine, theirs in zip(values(again), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_another_kind_of_history_is_refused(make_solver: MakeSolver):
    with make_solver("momentum: 0.9") as solver:
        state = solver.snapshot().state
    with (
        make_solver('type: "Adam" momentum: 0.9') as other,
        pytest.raises(SnapshotError, match="Adam keeps 8 arrays of history for this net, but there are 4"),
    ):
        other.restore(state, changed=True)


def test_a_resume_file_of_before_sizes_were_counted_is_read(make_solver: MakeSolver):
    with make_solver("momentum: 0.9") as solver:
        files = solver.snapshot()
        content = json.loads(files.resume.read_text())
        assert content.pop("sizes") == {}
        files.resume.write_text(json.dumps(content))
        solver.restore(files.state)


@pytest.mark.parametrize("content", ["", "{", '{"version": 99}', "[]"])
def test_a_damaged_resume_file_is_refused(content: str, make_solver: MakeSolver):
    with make_solver("momentum: 0.9") as solver:
        files = solver.snapshot()
        files.resume.write_text(content)
        with pytest.raises(SnapshotError, match=r"model_iter_0\.resume\.json.*Remove it to resume as Caffe does"):
            solver.restore(files.state)


def test_a_state_that_is_saved_changes_in_its_list_of_snapshots_alone(make_solver: MakeSolver):
    solver = make_solver()
    train(solver, 2)
    before = solver.state
    files, after = solver.run.checkpointer.save(before, None)
    assert (before.snapshots, after.snapshots) == ((), [2])
    assert dataclasses.replace(after, snapshots=()) == before
    assert all(path.is_file() for path in (files.model, files.state, files.resume))


def test_restoring_leaves_the_state_that_it_begins_with_alone(make_solver: MakeSolver):
    solver = make_solver("momentum: 0.9 average_loss: 3")
    train(solver, 4)
    saved, state = solver.snapshot(), solver.state
    other = make_solver("momentum: 0.9 average_loss: 3 random_seed: 8")
    before = other.state
    found = other.run.checkpointer.restore(saved.state, before, changed=False)
    assert other.state is before
    assert before.iteration == 0
    _assert_same(dataclasses.replace(found, losses=[np.float32(loss) for loss in found.losses]), state)


def test_fewer_losses_are_averaged_where_the_setting_says_so_now(make_solver: MakeSolver):
    solver = make_solver("average_loss: 3")
    train(solver, 3)
    state = solver.snapshot().state
    again = make_solver("average_loss: 2")
    again.restore(state)
    assert list(again.state.losses) == [float(loss) for loss in solver.state.losses[1:]]
