"""A blob's memory: arrays that stay true through reshapes, parameters that change hands, and what is no shape."""

import resource
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from engine.blob import Blob, BlobVec
from engine.errors import NetError


def filled(*shape):
    blob = Blob(*shape)
    blob.data[...] = np.arange(blob.count).reshape(shape)
    return blob


def test_fewer_values_are_the_first_and_an_array_held_before_is_still_theirs():
    blob = filled(4, 3)
    held = blob.data
    blob.reshape(2, 3)
    np.testing.assert_array_equal(blob.data, [[0, 1, 2], [3, 4, 5]])
    blob.value()  # used on the device
    held[1] = 9
    np.testing.assert_array_equal(blob.value(), [[0, 1, 2], [9, 9, 9]])
    blob.put(jnp.zeros((2, 3)))
    np.testing.assert_array_equal(held[:, 0], [0, 0, 6, 9])
    blob.reshape(3, 4)
    np.testing.assert_array_equal(blob.value()[2], [8, 9, 10, 11])


def test_another_shape_of_as_many_values_keeps_the_memory():
    blob = filled(2, 6)
    held = blob.data
    blob.reshape(3, 4)
    blob.value()
    held[0, 0] = 7
    assert blob.value()[0, 0] == 7
    assert np.shares_memory(blob.data, held)


def test_more_values_than_ever_are_zeros():
    blob = filled(2, 3)
    blob.reshape(7)
    np.testing.assert_array_equal(blob.data, np.zeros(7))


def test_values_on_the_device_are_cut_too():
    blob = Blob(4)
    blob.put(jnp.arange(4.0))
    blob.reshape(3)
    np.testing.assert_array_equal(blob.value(), [0, 1, 2])
    np.testing.assert_array_equal(blob.data, [0, 1, 2])


def test_what_nobody_holds_goes_to_the_device_once():
    blob = filled(2, 3)
    assert blob.value() is blob.value()


def test_values_that_nobody_writes_take_no_memory():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    before = resident()
    blob = Blob(2**26)
    assert resident() - before < 2**24 < blob.count


def test_a_whole_float_is_a_size():
    blob = Blob(1)
    blob.reshape(4 / 2, np.int64(3))
    assert blob.shape == (2, 3)


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((-1,), NetError, r"\[-1\]"),
        ((2**30, 2), NetError, "holds 2,147,483,647 values at most"),
        ((2.5,), TypeError, "2.5"),
        (([1, 2],), TypeError, r"reshape\(\*sizes\)"),
    ],
)
def test_what_is_no_shape_is_refused(sizes, error, message):
    with pytest.raises(error, match=message):
        Blob(1).reshape(*sizes)
    with pytest.raises(error, match=message):
        Blob(*sizes)


def test_a_parameter_that_is_put_in_place_of_another_is_shared():
    owner, other = filled(2, 3), Blob(3, 2)
    row = BlobVec([owner.viewed((3, 2))])
    row[0] = other
    other.data[...] = 5
    other.diff[...] = 6
    np.testing.assert_array_equal(owner.data, np.full((2, 3), 5))
    np.testing.assert_array_equal(owner.diff, np.full((2, 3), 6))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [(np.zeros((2, 3)), TypeError, r"\[0\].data\[...\] ="), (Blob(3), NetError, r"shape \[2, 3\].*\[3\]")],
)
def test_what_is_no_such_parameter_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        BlobVec([Blob(2, 3)])[0] = given
