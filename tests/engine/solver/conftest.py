from pathlib import Path

import pytest
from support.tiny_solver import LEARNED, NET, MakeSolver, parameter

from engine.solver.solver import Solver


@pytest.fixture
def make_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSolver:
    """Makes solvers whose files go to tmp_path."""
    monkeypatch.chdir(tmp_path)

    def make(settings: str = "momentum: 0.9", net: str = NET % LEARNED) -> Solver:
        return Solver(parameter(settings, net))

    return make
