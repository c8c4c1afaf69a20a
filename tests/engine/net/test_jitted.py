"""How functions are compiled for the device of now."""

import jax.numpy as jnp
import numpy as np
import pytest

from engine.net import jitted
from engine.ops import platform


@pytest.fixture
def gpu(monkeypatch):
    """As if there were one, whose XLA has all of the options."""
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(jitted, "on_cpu", lambda: False)
    monkeypatch.setattr(jitted, "known", dict)


def test_an_option_that_this_jaxlib_lacks_is_left_out():
    level = {"xla_backend_optimization_level": 0}
    assert jitted.known(level) == level
    assert jitted.known({"xla_of_another_time": True, **level}) == level


def test_this_jaxlib_has_every_option():
    assert jitted.known(jitted.GPU) == jitted.GPU
    lacking = jitted.QUICK.keys() - jitted.known(jitted.QUICK).keys()
    assert lacking <= {"xla_cpu_use_fusion_emitters"}  # jaxlib 0.12 has no fusions without them


def test_for_a_gpu_no_form_of_a_cpus_is_traced(gpu, monkeypatch):
    monkeypatch.setattr(jitted, "compiler_options", lambda: None)

    def of_a_cpu(x):
        raise AssertionError

    program = jitted.jitted(lambda x: platform.dependent(x, cpu=of_a_cpu, default=jnp.negative))
    assert program(np.float32(2)) == -2


def test_a_cpus_programs_are_compiled_as_xla_has_it_but_for_quick_ones():
    assert jitted.compiler_options() is None
    assert jitted.compiler_options(quick=True) == jitted.known(jitted.QUICK)


def test_a_gpus_sums_are_the_same_each_time(gpu):
    assert jitted.compiler_options(quick=True) == jitted.GPU
    assert jitted.GPU["xla_gpu_exclude_nondeterministic_ops"] is True


def test_what_the_user_sets_stays(gpu, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_exclude_nondeterministic_ops=false")
    assert jitted.compiler_options() == {}
