"""What Caffe has not: watching a test output, keeping few snapshots, warm-up, plateaus, NaN."""

from pathlib import Path

import numpy as np
import pytest
from support.tiny_solver import LEARNED, NET, feed, parameter

from engine.errors import SolverError
from engine.solver.options import TrainOptions, read_class_weights
from engine.solver.solver import Outcome, Solver

TESTED = "test_iter: 1 test_interval: 1 momentum: 0.9 "


def _solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, **options) -> Solver:
    monkeypatch.chdir(tmp_path)
    solver = Solver(parameter(settings), options=TrainOptions(**options))
    feed(solver, 0)
    for test in solver.test_nets:
        for name, value in solver.batches.values.items():
            test.batches.values[name][...] = value
    return solver


def test_early_stop_without_watch_is_refused():
    with pytest.raises(SolverError, match="-early_stop needs -watch"):
        TrainOptions(early_stop=3)


def test_old_snapshots_go_and_the_best_stays(tmp_path, monkeypatch):
    solver = _solver(tmp_path, monkeypatch, TESTED + "snapshot: 1 max_iter: 6", keep=2, watch="loss")
    (tmp_path / "model_iter_999.solverstate").touch()  # of another run
    solver.solve()
    best = solver.state.best.iteration
    assert {p.name for p in tmp_path.glob("*.solverstate")} == {
        f"model_iter_{i}.solverstate" for i in {best, 5, 6, 999}
    }


def test_training_stops_when_nothing_gets_better(tmp_path, monkeypatch):
    solver = _solver(tmp_path, monkeypatch, TESTED + "base_lr: 0 max_iter: 50", watch="loss", early_stop=3)
    assert solver.solve() is Outcome.STOPPED
    assert solver.iter == 3


def test_the_rate_drops_on_a_plateau(tmp_path, monkeypatch):
    settings = TESTED + 'base_lr: 0 lr_policy: "plateau" gamma: 0.1 stepsize: 4'
    solver = _solver(tmp_path, monkeypatch, settings, watch="loss")
    solver.step(10)
    assert solver.state.current_step == 2


def test_warmup_rises_linearly_to_the_policys_rate(tmp_path, monkeypatch):
    solver = _solver(tmp_path, monkeypatch, "", warmup=4)
    rates = []
    for _ in range(6):
        solver.step(1)
        rates.append(float(solver.rate))
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def test_learning_rate_and_momentum_change_between_steps(tmp_path, monkeypatch):
    solver = _solver(tmp_path, monkeypatch, "momentum: 0.9")
    solver.step(1)
    solver.param.base_lr, solver.param.momentum = 0.0, 0.0
    before = [np.array(p) for p in solver.params]
    solver.step(1)
    for p, q in zip(before, solver.params, strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("as_file", [False, True])
def test_class_weights_come_from_the_flag_or_a_file(as_file, tmp_path):
    given = "1,2.5 0\n"
    if as_file:
        (tmp_path / "weights.txt").write_text(given)
        given = str(tmp_path / "weights.txt")
    assert read_class_weights(given) == (1, 2.5, 0)


@pytest.mark.parametrize("given", ["1,two,3", "none.txt"])
def test_class_weights_that_are_no_numbers_are_refused(given):
    with pytest.raises(SolverError, match=f"-class_weights {given}: .*Give one number per class"):
        read_class_weights(given)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_class_weights_that_weigh_nothing_are_refused(weight):
    with pytest.raises(SolverError, match="each must be a number of 0 or more"):
        TrainOptions(class_weights=(1.0, weight))


def test_class_weights_need_a_loss_that_takes_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = NET.replace('"SoftmaxWithLoss"', '"HingeLoss"') % LEARNED
    with pytest.raises(SolverError, match="-class_weights: the net has no SoftmaxWithLoss"):
        Solver(parameter(net=net), options=TrainOptions(class_weights=(1, 1, 1, 1)))


def test_training_counts_classes_by_their_weights_and_tests_do_not(tmp_path, monkeypatch):
    weighed = _solver(tmp_path, monkeypatch, "test_iter: 1 test_interval: 9", class_weights=(1, 0, 2, 3))
    plain = _solver(tmp_path, monkeypatch, "test_iter: 1 test_interval: 9")
    labels = weighed.batches.values["t"].astype(int)
    weighed.step(1)
    assert weighed.test_nets[0].net.layers[-1].class_weights is None
    bias = next(k for k, p in enumerate(plain.net.params) if (p.layer, p.index) == ("ip2", 1))
    fresh = [np.array(p) for p in plain.params]
    h = np.tanh(plain.batches.values["x"] @ fresh[0].T + fresh[1])
    e = np.exp(h @ fresh[2].T + fresh[3])
    slope = (np.array([1, 0, 2, 3])[labels][:, None] * (e / e.sum(1, keepdims=True) - np.eye(4)[labels])).sum(0) / 8
    np.testing.assert_allclose(weighed.params[bias], fresh[bias] - 0.1 * 2 * slope, rtol=1e-4)


def test_weights_of_more_classes_than_a_file_name_has_bytes():
    assert read_class_weights(",".join(["1.5"] * 1000)) == (1.5,) * 1000
