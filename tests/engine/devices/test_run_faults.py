"""What is said of a device that fails in the midst of a run."""

from types import SimpleNamespace

import jax
import pytest

from engine.devices import run_faults
from engine.devices.run_faults import surfaced
from engine.errors import DeviceError

GIB = 1024**3


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Out of memory allocating 38520020288 bytes.", r"it asks for 35\.9 GiB more, of .* in total\. What"),
        ("Out of memory while trying to allocate 2000 bytes.", r"it asks for 2\.0 KiB more"),
        ("Out of memory while trying to allocate 1.50GiB.", r"it asks for 1\.5 GiB more"),
        ("no words", r"RESOURCE_EXHAUSTED: no words\. What takes less: a smaller batch_size, with iter_size"),
    ],
)
def test_too_little_memory_is_told_with_how_much_was_asked_for(said, told):
    with pytest.raises(DeviceError, match=told), surfaced():
        raise jax.errors.JaxRuntimeError(f"RESOURCE_EXHAUSTED: {said}")


@pytest.mark.parametrize(("used", "others"), [(1 * GIB, True), (14 * GIB, False)])
def test_memory_that_other_programs_hold_is_told_of(used, others, monkeypatch):
    device = SimpleNamespace(memory_stats=lambda: {"bytes_limit": 16 * GIB, "bytes_in_use": used})
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    error = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 2.00GiB.")
    assert ("Other programs hold some of it" in run_faults.words(error)) == others


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("FAILED_PRECONDITION: DNN library initialization failed. Look at the errors above.", "another program holds"),
        ("INTERNAL: CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image is available", "This GPU is older than"),
        ("INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered", "-snapshot auto"),
        ("INTERNAL: NCCL operation ncclCommInitRank failed: unhandled system error", "NCCL_DEBUG=INFO"),
    ],
)
def test_what_a_gpu_fails_with_is_said_with_what_to_do(said, told):
    with pytest.raises(DeviceError, match=told), surfaced():
        raise jax.errors.JaxRuntimeError(said)


def test_a_fault_of_the_programs_own_stays_what_it_is():
    with pytest.raises(jax.errors.JaxRuntimeError, match="shape"), surfaced():
        raise jax.errors.JaxRuntimeError("INVALID_ARGUMENT: a shape does not fit")
