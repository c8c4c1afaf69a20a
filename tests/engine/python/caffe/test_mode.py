"""What Caffe keeps for the whole process."""

import threading
from concurrent.futures import ThreadPoolExecutor

import caffe
import jax
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
        (caffe.set_mode_gpu, r"set_mode_gpu: JAX finds no GPU on .* set_mode_cpu\(\) computes on the CPU"),
        (lambda: caffe.set_device(-1), "-1 is not a device; devices are numbered from 0"),
    ],
)
def test_a_device_that_is_not_there_is_refused(call, said, monkeypatch):
    monkeypatch.setattr(mode, "_device", 0)
    monkeypatch.setattr(jax, "local_devices", lambda backend: jax.devices("no such"))
    with pytest.raises(DeviceError, match=said):
        call()


def test_products_are_float32s_whatever_the_device():
    """Of a solver too: GPUs would round to TF32."""
    assert jax.config.values["jax_default_matmul_precision"] == "highest"


def test_each_thread_has_a_rank_of_its_own():
    def said(rank):
        caffe.set_solver_rank(rank)
        both.wait(10)
        return caffe.solver_rank()

    both = threading.Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(said, (1, 2))) == [1, 2]
    assert caffe.solver_rank() == 0


@pytest.mark.parametrize("call", [caffe.set_device, caffe.set_solver_count, caffe.set_solver_rank, caffe.init_log])
def test_numbers_are_integers(call):
    with pytest.raises(TypeError):
        call("0")
