"""Warns of GPUs that are too old for the engine: JAX has no code for them."""

from collections.abc import Iterator, Mapping

from hpcbrew.clusters.profiles import GpuType

OLDEST = 5.2
"""The lowest compute capability that JAX and CUDA 12 have code for: Maxwell's. The installed cuDNN is pinned to the
last release that supports GPUs below 7.5 (see pyproject.toml)."""


def warnings(gpu_type: str | None, gpus: int, kinds: Mapping[str, GpuType]) -> Iterator[str]:
    """Yields a warning for a job that gets such a GPU, or may get one. gpu_type: the name of the GPU type; gpus: their
    number per node."""
    old_types = [name for name, kind in kinds.items() if kind.compute is not None and kind.compute < OLDEST]
    if not gpus or not old_types or (gpu_type is not None and gpu_type not in old_types):
        return
    newer_types = [f"--gpu-type {name}" for name in kinds if name not in old_types]
    gets = "requests a GPU" if gpu_type or not newer_types else "may get a GPU"
    remedy = f"Give {', '.join(newer_types)}" if newer_types else "Without --gpu it trains on the CPU"
    yield (
        f"the job {gets} of type {gpu_type or ' or '.join(old_types)}, which is too old for the engine: JAX has no "
        f"code for GPUs below compute capability {OLDEST}. {remedy}"
    )
