"""What Caffe keeps for the whole process."""

import caffe
import pytest
from caffe import mode

from engine.errors import DeviceError


def test_a_seed_repeats_the_seeds_that_follow():
    caffe.set_random_seed(3)
    first = [mode.next_seed() for _ in range(4)]
    caffe.set_random_seed(3)
    assert [mode.next_seed() for _ in range(4)] == first
    assert len(set(first)) == 4


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (caffe.set_mode_gpu, "JAX sees no GPU here"),
        (lambda: caffe.set_device(-1), "-1 is no device; they are counted from 0"),
    ],
)
def test_a_device_that_is_not_there_is_refused(call, said, monkeypatch):
    monkeypatch.setattr(mode, "_gpus", list)
    monkeypatch.setattr(mode, "_device", 0)
    with pytest.raises(DeviceError, match=said):
        call()
