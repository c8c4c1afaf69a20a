"""Forms of an operation that differ from platform to platform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.ops import platform


@pytest.fixture
def traced():
    return []


@pytest.fixture
def function(traced):
    @jax.jit
    def function(x):
        def form(name, scale):
            def scaled(x):
                traced.append(name)
                return scale * x

            return scaled

        return platform.dependent(x, cpu=form("cpu", 2), default=form("default", 3))

    return function


def test_both_forms_are_traced_and_the_platforms_is_taken(function, traced):
    assert function(np.float32(1)) == 2
    assert {*traced} == {"cpu", "default"}


def test_for_a_cpu_alone_its_form_is_traced_and_no_other(function, traced):
    with platform.cpu_alone():
        assert function(np.float32(1)) == 2
    assert traced == ["cpu"]


def test_for_a_gpu_a_cpus_form_is_not_traced(function, traced):
    with platform.no_cpu():
        function(np.float32(1))
    assert traced == ["default"]


def test_what_was_traced_for_a_cpu_alone_is_not_taken_for_others(function, traced):
    with platform.cpu_alone():
        function(np.float32(1))
    exported = jax.export.export(function, platforms=["cuda"])(np.float32(1))
    assert "default" in traced
    assert "3.0" in exported.mlir_module()


def test_a_cpus_form_computes_bfloat16_in_float32_and_rounds_what_it_makes():
    seen = []

    def form(x, none, y):
        seen.append((x.dtype, none, y.dtype))
        return x * y

    low = jnp.asarray(1 + 2**-7, jnp.bfloat16)
    made = platform.widened(form)(low, None, np.float32(1 + 2**-9))
    assert seen == [(jnp.float32, None, jnp.float32)]
    assert (made.dtype, float(made)) == (jnp.bfloat16, 1 + 2**-7)
    assert platform.widened(form)(np.float32(3), None, np.float32(2)).dtype == jnp.float32
