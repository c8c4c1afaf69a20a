"""What is kept of programs that call oneDNN: nothing. Their values: test_convolution_onednn.py."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from engine.ops import onednn, onednn_proof


def test_a_program_tells_whether_it_calls():
    a = jnp.ones((4, 3))
    assert onednn.called_by(jax.jit(partial(onednn.product, transposed="a")).lower(a, a))
    assert not onednn.called_by(jax.jit(lambda a, b: a.T @ b).lower(a, a))


@pytest.mark.skipif(not onednn_proof.passed(), reason="oneDNN is not to be called here")
def test_what_calls_is_not_written_down(tmp_path: Path):
    """XLA cannot, and what it does instead is undefined: memory is read that is something else."""
    code = """
import jax, jax.numpy as jnp
from engine.ops import onednn
a = jnp.ones((4, 3))
jax.jit(lambda a, b: a.T @ b)(a, a)
jax.jit(lambda a, b: onednn.product(a, b, transposed="a"))(a, a)
"""
    settings = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    environment = os.environ | settings | {"JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True)
    assert (
        len([path for path in tmp_path.iterdir() if path.name.startswith("jit__lambda") and "-cache" in path.name]) == 1
    )
