"""Which snapshots stay, and which are deleted."""

from pathlib import Path

import pytest
from support.tiny_solver import parameter

from engine.solver.options import TrainOptions
from engine.solver.snapshot.retention import SnapshotSeries
from engine.solver.solver import Solver


def test_the_last_and_the_best_stay():
    series = SnapshotSeries("p", hdf5=False, keep=2)
    assert series.surplus([10, 20, 30, 40, 50], best=20) == [10, 30]
    assert series.surplus([10, 20], best=-1) == []


def test_all_stay_where_none_is_limited():
    assert SnapshotSeries("p", hdf5=False, keep=0).surplus([10, 20, 30], best=-1) == []


def test_only_the_snapshots_of_these_iterations_are_removed(tmp_path: Path):
    series = SnapshotSeries(str(tmp_path / "p"), hdf5=False, keep=2)
    for iteration in (10, 20, 30):
        series.files(iteration).state.touch()
    series.remove([10, 30])
    assert [p.name for p in tmp_path.iterdir()] == ["p_iter_20.solverstate"]


def test_what_a_killed_process_did_not_remove_goes_with_the_next_snapshot(tmp_path, monkeypatch: pytest.MonkeyPatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    first = Solver(parameter(""), options=TrainOptions(keep=1))
    first.snapshot()
    first.step(1)
    with monkeypatch.context() as patch:
        patch.setattr(SnapshotSeries, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            first.snapshot()
    second = Solver(parameter(""), options=TrainOptions(keep=1))
    second.restore("model_iter_1.solverstate")
    second.step(1)
    second.snapshot()
    assert [p.name for p in tmp_path.glob("*.solverstate")] == ["model_iter_2.solverstate"]
