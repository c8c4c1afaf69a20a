"""What is found when a run is built, before its first iteration."""

import numpy as np
import pytest
from support.tiny_solver import LEARNED, NET, MakeSolver, parameter, values

from engine.errors import SnapshotError, SolverError
from engine.proto import binary
from engine.solver.best_tracker import Best
from engine.solver.options import TrainOptions
from engine.solver.solver import Solver

TESTED = "test_iter: 1 test_interval: 1 momentum: 0.9 "


def test_a_run_begins_at_nothing_done(make_solver: MakeSolver):
    state = make_solver(TESTED).state
    assert (state.iteration, state.current_step, state.seed, state.best) == (0, 0, 7, None)
    assert not any(np.any(slot) for slots in state.history for slot in slots)
    assert Solver(parameter(TESTED), options=TrainOptions(watch="loss")).state.best == Best()


def test_weights_come_from_several_models(make_solver: MakeSolver):
    source = make_solver("random_seed: 1")
    model = source.snapshot().model
    solver = make_solver(f'weights: "{model}, {model}" test_iter: 1 test_interval: 5')
    for a, b in zip(values(source), values(solver), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["BINARYPROTO", "HDF5"])
def test_finetuning_tells_which_layers_were_copied_and_which_not(tmp_path, monkeypatch, log, kind):
    monkeypatch.chdir(tmp_path)
    model = Solver(parameter(f"snapshot_format: {kind}")).snapshot().model
    net = (NET % LEARNED).replace('"ip2"', '"ip2_new"')
    Solver(parameter(f'weights: "{model}"', net))
    assert {"Ignoring source layer ip2", "Copied by name: ip1. Not in it: ip2_new."} <= {*log.messages}
    Solver(parameter(f'weights: "{model}"', net.replace('"ip1"', '"ip1_new"')))
    assert f"{model}: has none of this net's layers with parameters (ip1_new, ip2_new)." in log.messages


def test_errors_name_the_solvers_file():
    with pytest.raises(SolverError, match=r'^some/solver\.prototxt: unknown solver type "Sgd"'):
        Solver(parameter('type: "Sgd"'), "some/solver.prototxt")


def test_a_folder_that_is_not_there_is_found_at_the_start(make_solver: MakeSolver):
    with pytest.raises(SnapshotError, match="'nowhere/model': nowhere: No such file or directory"):
        make_solver('snapshot: 5 snapshot_prefix: "nowhere/model"')


def test_a_model_too_large_for_protobuf_is_found_at_the_start(make_solver: MakeSolver, monkeypatch):
    monkeypatch.setattr(binary, "LIMIT", 200)
    with pytest.raises(SnapshotError, match="set snapshot_format: HDF5"):
        make_solver()
    make_solver("snapshot_format: HDF5")


def test_plateau_needs_something_to_watch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SolverError, match='"plateau" needs -watch'):
        Solver(parameter(TESTED + 'lr_policy: "plateau" gamma: 0.1 stepsize: 4'))


def test_watching_nothing_that_is_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SolverError, match="-watch acuracy: no test net has that output; there are: loss"):
        Solver(parameter(TESTED), options=TrainOptions(watch="acuracy"))
