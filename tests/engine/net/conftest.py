import jax
import pytest

from engine.net import program_cache


@pytest.fixture
def folder(tmp_path):
    """Of programs on the disk, all of them kept there."""
    tmp_path.chmod(0o700)
    wanted = {"jax_compilation_cache_dir": str(tmp_path), program_cache.KEPT_FROM: 0.0}
    before = {name: jax.config.values[name] for name in wanted}
    for name, value in wanted.items():
        jax.config.update(name, value)
    yield tmp_path / "programs"
    for name, value in before.items():
        jax.config.update(name, value)
