"""The keys that random layers draw from."""

import jax
import pytest

from engine.solver.keys import base_key


@pytest.mark.parametrize("seed", [0, 1701, 2**31, 2**32 - 1])
def test_it_is_jaxs_own(seed):
    assert jax.random.key_data(base_key(seed)).tolist() == [0, seed]
    assert jax.random.key(seed) == base_key(seed)


def test_seeds_go_round():
    assert base_key(-1) == base_key(2**32 - 1)
