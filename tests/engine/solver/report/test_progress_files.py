"""What a run leaves in its folder while it goes on."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.small_nets import SMALL, made
from support.tiny_solver import feed, parameter, train

from engine.errors import DataError, DivergedError
from engine.solver.options import TrainOptions
from engine.solver.report import progress_files
from engine.solver.report.caffe_log import Report
from engine.solver.report.progress_files import Records
from engine.solver.solver import Solver


def _train(folder: Path, settings: str) -> None:
    with Records(folder) as records, Solver(parameter(settings), report=Report(records)) as solver:
        train(solver, solver.param.max_iter)


def _metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _progress(folder: Path) -> dict:
    return json.loads((folder / "progress.json").read_text())


@pytest.fixture
def few(monkeypatch) -> None:
    """Losses are noted at two iterations of a run, beside those that are displayed."""
    monkeypatch.setattr(progress_files, "POINTS", 2)


def test_every_display_is_a_line_of_metrics(few: None, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _train(tmp_path / "run", "display: 2 max_iter: 5")
    lines = _metrics(tmp_path / "run")
    assert [(line["phase"], line["iteration"], len(line["outputs"])) for line in lines] == [
        ("train", 0, 1), ("train", 2, 1), ("train", 4, 1),
    ]  # fmt: skip
    assert all(line["loss"] > 0 and line["lr"] == pytest.approx(0.1) for line in lines)


def test_the_loss_is_noted_however_seldom_it_is_displayed(few: None, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _train(tmp_path / "run", "display: 0 max_iter: 9 average_loss: 2")
    _train(tmp_path / "all", "display: 1 max_iter: 9 average_loss: 2")
    shown = {line["iteration"]: line["loss"] for line in _metrics(tmp_path / "all")}
    noted = {line["iteration"]: line["loss"] for line in _metrics(tmp_path / "run")}
    assert noted == {n: pytest.approx(shown[n]) for n in (0, 4, 8)}


def test_a_run_that_diverged_says_at_which_iteration(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = parameter("base_lr: 1e38 weight_decay: 1e38 max_iter: 9 display: 9")
    with (
        pytest.raises(DivergedError),
        Records(tmp_path / "run") as records,
        Solver(settings, report=Report(records), options=TrainOptions(nan="loss")) as solver,
    ):
        train(solver, 9)
    found = _progress(tmp_path / "run")
    assert (found["diverged"], found["iteration"], found["loss"]) == (1, 2, None)
    assert [(line["iteration"], line["loss"] is None) for line in _metrics(tmp_path / "run")][-2:] == [
        (0, False), (1, True),
    ]  # fmt: skip


TESTED = "test_iter: 1 test_interval: 2 test_state {}"


def test_the_last_test_is_of_the_last_model_and_the_best_are_kept(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = parameter(f"{TESTED} max_iter: 5")
    with (
        Records(tmp_path / "run") as records,
        Solver(settings, report=Report(records), options=TrainOptions(test_last=True)) as solver,
    ):
        feed(solver, 0)
        for test in solver.test_nets:
            test.batches.values.update(solver.batches.values)
        solver.solve()
    found = _progress(tmp_path / "run")
    tests = {line["iteration"]: line["loss"] for line in _metrics(tmp_path / "run") if line["phase"] == "test"}
    assert list(tests) == [0, 2, 4, 5]
    assert (found["tested"], found["outputs"]) == (5, {"loss": pytest.approx(tests[5])})
    least = min(tests, key=tests.__getitem__)
    assert found["best"] == {"loss": {"value": pytest.approx(tests[least]), "iteration": least}}


def test_a_run_that_goes_on_in_its_folder_keeps_its_best_test_and_when_it_began(tmp_path: Path):
    before = {"began": 5.0, "best": {"accuracy": {"value": 0.75, "iteration": 4}}}
    (tmp_path / "progress.json").write_text(json.dumps(before))
    records = Records(tmp_path)
    records.start(made(SMALL), parameter(), 6)
    records.progress(7, [1.0], np.float32(0.1))
    records.tested(7, 0, 1.0, {"accuracy": 0.5}, {"accuracy": 0.0})
    records.progress(8, [1.0], np.float32(0.1))
    found = _progress(tmp_path)
    assert (found["began"], found["best"]) == (5.0, before["best"])


def test_a_line_that_broke_off_does_not_take_the_next_with_it(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/metrics.jsonl").write_text('{"phase": "train", "iteration": 0}\n{"phase": "tr')
    _train(tmp_path / "run", "display: 2 max_iter: 3")
    _, half, *lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert half == '{"phase": "tr'
    assert [json.loads(line)["iteration"] for line in lines] == [0, 1, 2]


def test_progress_ends_at_the_last_iteration(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _train(tmp_path / "run", "max_iter: 5")
    found = json.loads((tmp_path / "run/progress.json").read_text())
    assert (found["iteration"], found["max_iter"]) == (5, 5)


@pytest.mark.parametrize("name", ["progress.json", "metrics.jsonl"])
def test_a_file_that_cannot_be_written_is_named(name: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=f"run/{name}: cannot be written: Is a directory"):
        _train(tmp_path / "run", "display: 1 max_iter: 5")
