"""GPUs too old for the engine are told of before a job waits for one."""

import pytest

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import GpuType
from hpcbrew.plan import gpu_age

KINDS = {"K40": GpuType(compute=3.5), "V100": GpuType(compute=7), "A100": GpuType()}
NEWER = "Give --gpu-type V100, --gpu-type A100"


@pytest.mark.parametrize(
    ("asked", "gpus", "said"),
    [
        ("K40", 1, f"the job requests a GPU of type K40, which is too old for the engine: {NEWER}"),
        (None, 1, f"the job may get a GPU of type K40, which is too old for the engine: {NEWER}"),
        ("V100", 1, None),
        ("A100", 1, None),
        (None, 0, None),
    ],
)
def test_a_job_is_told_of_a_gpu_without_code(asked, gpus, said):
    why = "JAX has no code for GPUs below compute capability 5.2. "
    found = [words.replace(why, "") for words in gpu_age.warnings(asked, gpus, KINDS)]
    assert found == ([said] if said else [])


def test_where_all_are_too_old_there_is_the_cpu():
    (words,) = gpu_age.warnings(None, 1, {"K80": GpuType(compute=3.7)})
    assert words.startswith("the job requests a GPU of type K80")
    assert words.endswith("Without --gpu it trains on the CPU")


def test_the_profile_of_a_cluster_with_old_ones_says_so():
    assert list(gpu_age.warnings(None, 1, profiles.load("iitd").gpu_types))
