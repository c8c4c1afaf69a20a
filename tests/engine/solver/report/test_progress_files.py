"""What a run leaves in its folder while it goes on."""

import json
from pathlib import Path

import pytest
from support.tiny_solver import parameter, train

from engine.errors import DataError
from engine.solver.report.caffe_log import Report
from engine.solver.report.progress_files import Records
from engine.solver.solver import Solver


def _train(folder: Path, settings: str) -> None:
    with Records(folder) as records, Solver(parameter(settings), report=Report(records)) as solver:
        train(solver, solver.param.max_iter)


def test_every_display_is_a_line_of_metrics(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _train(tmp_path / "run", "display: 2 max_iter: 5")
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["iteration"]) for line in lines] == [("train", 0), ("train", 2), ("train", 4)]
    assert all(line["loss"] > 0 and line["lr"] == pytest.approx(0.1) for line in lines)


def test_a_line_that_broke_off_does_not_take_the_next_with_it(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/metrics.jsonl").write_text('{"phase": "train", "iteration": 0}\n{"phase": "tr')
    _train(tmp_path / "run", "display: 2 max_iter: 3")
    _, half, *lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert half == '{"phase": "tr'
    assert [json.loads(line)["iteration"] for line in lines] == [0, 2]


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
