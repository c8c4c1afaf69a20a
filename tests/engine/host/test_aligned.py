"""Arrays at addresses that XLA takes."""

import jax
import numpy as np
import pytest

from engine.host import aligned


@pytest.mark.parametrize("shape", [(1,), (3, 5), (64, 1, 28, 28), (2, 3, 227, 227)])
def test_an_array_is_of_its_shape_and_lies_well(shape):
    for _ in range(5):
        array = aligned.empty(shape)
        assert (array.shape, array.dtype) == (shape, np.float32)
        assert array.flags.c_contiguous
        assert array.ctypes.data % aligned.ALIGNMENT == 0


def test_the_host_s_device_takes_it_as_it_is():
    array = aligned.empty((64, 1, 28, 28))
    array[:] = 1
    placed = jax.device_put(array, jax.devices("cpu")[0])
    assert placed.unsafe_buffer_pointer() == array.ctypes.data
