"""Every recorded case: tops, state and gradients as BVLC Caffe 1.0 computed them."""

import pytest
from support.layer_cases import GOLDEN, check_recorded


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.npz")))
def test_layer_equals_caffe(name):
    check_recorded(name)
