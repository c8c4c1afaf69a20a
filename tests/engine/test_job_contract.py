"""What engine, job script and submitter agree on: the records as they are written; and that it costs no import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import tiny_solver

from engine import job_contract
from engine.solver.report.caffe_log import Report
from engine.solver.report.progress_files import Records
from engine.solver.solver import Solver


def test_the_contract_loads_nothing_but_the_standard_library() -> None:
    listed = "import sys; before = set(sys.modules); import engine.job_contract; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True).stdout.split()
    outside = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert outside == {"engine"}
    assert {name for name in loaded if name.startswith("engine.")} == {"engine.job_contract"}


def test_what_the_engine_writes_has_the_contract_s_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = "display: 1 test_iter: 1 test_interval: 1 max_iter: 1"
    with Records(tmp_path) as records, Solver(tiny_solver.parameter(settings), report=Report(records)) as solver:
        tiny_solver.train(solver, 1)
    lines = [json.loads(line) for line in (tmp_path / job_contract.METRICS).read_text().splitlines()]
    forms = {"train": job_contract.TrainMetrics, "test": job_contract.TestMetrics}
    assert {line["phase"] for line in lines} == forms.keys()
    for line in lines:
        assert line.keys() == forms[line["phase"]].__annotations__.keys()
    progress = json.loads((tmp_path / job_contract.PROGRESS).read_text())
    assert progress.keys() == job_contract.ProgressRecord.__annotations__.keys()
