from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from support.tiny_solver import LEARNED, NET, MakeSolver, parameter

from engine.solver.solver import Solver


@pytest.fixture(autouse=True, scope="session")
def _compile_each_program_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Most tests train the same net; compiling it takes longer than all the rest."""
    here = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in here}
    for settings in (here, before):
        for name, value in settings.items():
            jax.config.update(name, value)
        if settings is here:
            yield


@pytest.fixture
def make_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSolver:
    """Makes solvers whose files go to tmp_path."""
    monkeypatch.chdir(tmp_path)

    def make(settings: str = "momentum: 0.9", net: str = NET % LEARNED) -> Solver:
        return Solver(parameter(settings, net))

    return make
