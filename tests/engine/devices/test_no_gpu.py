"""Why there is no GPU: what JAX and its plugin for CUDA say, and what its reader is told."""

import pytest

from engine.devices import no_gpu

UNKNOWN = "Unknown backend: 'gpu' requested, but no platforms that are instances of gpu are present. Platforms present"
UNUSABLE = " (you may need to uninstall the failing plugin package, or set JAX_PLATFORMS=cpu to skip this backend.)"


def of_cuda(words: str) -> str:
    return f"Unable to initialize backend 'cuda': {words}{UNUSABLE}"


@pytest.mark.parametrize(
    ("said", "faults", "told"),
    [
        (
            of_cuda("FAILED_PRECONDITION: No visible GPU devices."),
            [],
            "No visible GPU devices. There is no GPU with that",
        ),
        (
            of_cuda("INTERNAL: no supported devices found for platform CUDA"),
            [],
            "CUDA. There is no GPU with that number",
        ),
        (of_cuda("RESOURCE_EXHAUSTED: CUDA_ERROR_OUT_OF_MEMORY"), [], "OUT_OF_MEMORY. Other programs hold its memory"),
        (of_cuda("INTERNAL: something new"), [], "something new. If it is broken: pip install 'hpcbrew[cuda12]'"),
        (UNKNOWN, ["Unable to load cuDNN. Is it installed?"], "Is it installed?. Libraries of CUDA are missing. pip"),
        (
            UNKNOWN,
            ["Outdated cuDNN installation found. Version JAX was built against: 91000 Installed version: 8907"],
            "8907. Another CUDA is found before the one that came with JAX: leave out `module load cuda`",
        ),
        (UNKNOWN, ["cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA"], "cuda13 580"),
        (of_cuda("Mismatched PJRT plugin PJRT API version (0.54)"), [], "Parts of JAX have different versions"),
    ],
)
def test_of_a_gpu_that_cannot_be_used_it_is_said_why_and_what_to_do(said, faults, told, monkeypatch):
    monkeypatch.setattr(no_gpu, "installed", lambda: True)
    why = no_gpu.why(said, faults, present=True, environment={})
    assert told in why
    assert "JAX_PLATFORMS" not in why
    assert why.endswith((".", "--gpu"))


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"JAX_PLATFORMS": "cpu"}, "JAX_PLATFORMS is 'cpu', which leaves GPUs out: unset it."),
        ({"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES is '', which hides every GPU"),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, "CUDA_VISIBLE_DEVICES is '-1', which hides every GPU"),
        (
            {"CUDA_VISIBLE_DEVICES": "7"},
            "No visible GPU devices. CUDA_VISIBLE_DEVICES is '7'. There is no GPU with that",
        ),
    ],
)
def test_what_the_environment_hides_is_named(environment, told, monkeypatch):
    monkeypatch.setattr(no_gpu, "installed", lambda: True)
    said = of_cuda("FAILED_PRECONDITION: No visible GPU devices.")
    assert told in no_gpu.why(said, [], present=True, environment=environment)


def test_a_node_without_one_is_told_from_an_engine_without_cuda(monkeypatch):
    monkeypatch.setattr(no_gpu, "installed", lambda: False)
    assert "there is no NVIDIA driver. Is this a login node" in no_gpu.why(UNKNOWN, [], False, {})
    assert "it has one, but the engine was installed without CUDA. pip install" in no_gpu.why(UNKNOWN, [], True, {})
