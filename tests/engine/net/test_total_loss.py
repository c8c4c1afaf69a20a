"""The loss that a net's tops add up to."""

import jax.numpy as jnp
import numpy as np

from engine.net import total_loss


def test_tops_count_by_their_weights_in_full_precision():
    tops = [jnp.ones((2, 3)), jnp.full(300, 1, jnp.bfloat16)]
    assert total_loss.total(tops, (0.5, 2.0)) == 603
    assert total_loss.total([], ()) == 0


def test_whole_numbers_become_floats():
    assert total_loss.full(jnp.array([3], jnp.int32)).dtype == jnp.promote_types(np.int32, np.float32)
