"""GPUs that the engine cannot use: JAX has no code for the oldest."""

from collections.abc import Iterator, Mapping

from hpcbrew.clusters.profiles import GpuType

OLDEST = 5.2
"""The least compute capability that JAX and CUDA 12 have code for: Maxwell's. What cuDNN is installed is bound to the
last one that has it for those before 7.5 (see pyproject.toml)."""


def warnings(asked: str | None, gpus: int, kinds: Mapping[str, GpuType]) -> Iterator[str]:
    """Said of a job that gets such a GPU, or may get one. asked: the kind, by name; gpus: how many a node."""
    old = [name for name, kind in kinds.items() if kind.compute is not None and kind.compute < OLDEST]
    if not gpus or not old or (asked is not None and asked not in old):
        return
    newer = [f"--gpu-type {name}" for name in kinds if name not in old]
    gets = "asks for a GPU" if asked or not newer else "may get a GPU"
    remedy = f"Take {', '.join(newer)}" if newer else "Without --gpu it trains on the CPU"
    yield (
        f"the job {gets} of kind {asked or ' or '.join(old)}, too old for the engine: JAX has no code for GPUs below "
        f"compute capability {OLDEST}. {remedy}"
    )
