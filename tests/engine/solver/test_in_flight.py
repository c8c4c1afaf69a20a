"""What is started together, and when it is looked at."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.tiny_solver import MakeSolver, feed, parameter

from engine.errors import DivergedError
from engine.solver import in_flight
from engine.solver.options import TrainOptions
from engine.solver.report.caffe_log import Report
from engine.solver.report.progress_files import Records
from engine.solver.solver import Solver

SETTINGS = (
    "momentum: 0.9 test_iter: 1 test_interval: 10 display: 7 snapshot: 15 max_iter: 40 average_loss: 3 "
    'lr_policy: "multistep" gamma: 0.5 stepvalue: 12 stepvalue: 21'
)
TIMES = re.compile(r"[-+.\de]+ iter/s, [\d.]+s|(?<=Compiled in )\d+ s")


def _told(tmp_path: Path, log, moment: float, monkeypatch) -> tuple[list[str], list[dict], list[int]]:
    """Log lines, notes, and how many iterations each call had, of calls that may take so many seconds."""
    monkeypatch.setattr(in_flight, "MOMENT", moment)
    monkeypatch.chdir(tmp_path)
    with Records(tmp_path / "run") as records:
        solver = Solver(parameter(SETTINGS), report=Report(records))
        feed(solver, 0)
        counts, iterate = [], solver._iterate
        monkeypatch.setattr(solver, "_iterate", lambda count: (counts.append(count), iterate(count)))
        log.clear()
        solver.solve()
    notes = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    return [TIMES.sub("…", line) for line in log.messages], [{**note, "time": 0} for note in notes], counts


def test_what_is_said_and_noted_does_not_depend_on_what_is_taken_together(tmp_path: Path, log, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    *one_by_one, counts = _told(tmp_path / "a", log, 0, monkeypatch)
    assert counts == [1] * 40
    *together, counts = _told(tmp_path / "b", log, 1e9, monkeypatch)
    assert max(counts) >= 5
    assert sum(counts) == 40
    assert together == one_by_one
    models = [(tmp_path / part / "model_iter_40.caffemodel").read_bytes() for part in ("a", "b")]
    assert models[0] == models[1]


@pytest.mark.parametrize("kind", ["loss", "stop"])
def test_the_first_iteration_without_a_number_is_named(kind: str, make_solver: MakeSolver, monkeypatch):
    monkeypatch.setattr(in_flight, "MOMENT", 1e9)
    solver = Solver(parameter("momentum: 0.9 max_iter: 40"), options=TrainOptions(nan=kind))
    feed(solver, 0)
    solver.step(16)
    draw = solver.batches.next
    drawn = iter(range(100))

    def poisoned():
        return {**draw(), "x": np.full((8, 6), np.inf if next(drawn) == 4 else 1, np.float32)}

    monkeypatch.setattr(solver.batches, "next", poisoned)
    with pytest.raises(DivergedError, match="diverged at iteration 20"):
        solver.step(10)


def test_calls_grow_while_they_are_short_and_shrink_again(make_solver: MakeSolver, monkeypatch):
    solver = make_solver()
    grown = []
    monkeypatch.setattr(in_flight, "MOMENT", 1e9)
    for _ in range(8):
        solver.step(solver._in_flight.together)
        grown.append(solver._in_flight.together)
    assert grown == [2, 4, 8, 10, 10, 10, 10, 10]
    monkeypatch.setattr(in_flight, "MOMENT", 0)
    solver.step(1)
    assert solver._in_flight.together == 1
