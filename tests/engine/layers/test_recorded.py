"""Every recorded case: tops, state and gradients as BVLC Caffe 1.0 computed them; in golden/forks, as its forks did."""

import pytest
from support.layer_cases import GOLDEN, check_recorded


@pytest.mark.parametrize(
    "name", sorted(path.relative_to(GOLDEN).with_suffix("").as_posix() for path in GOLDEN.rglob("*.npz"))
)
def test_layer_equals_caffe(name):
    check_recorded(name)
