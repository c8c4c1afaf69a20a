"""Sweeps: every combination of values of some solver fields is a point, and all points are one array job.

Fields that vary together, such as a solver type and the learning rate that suits it, are set by one assignment: see
TOGETHER.
"""

from collections.abc import Sequence
from itertools import chain, product
from math import prod

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError
from hpcbrew.job import MOST_POINTS, JobPlan, JobRequest, Overrides
from hpcbrew.plan import overrides
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine

TOGETHER = "type,base_lr=SGD:0.01,Adam:0.001"


def points(assignments: Sequence[str]) -> list[Overrides]:
    """Returns every combination of `KEY=A,B,…`, the last key changing fastest; `KEY,KEY=A:B,…` sets several keys at
    once.

    Raises RequestError for fewer than two points and more than MOST_POINTS, and for malformed assignments.
    """
    axes: list[list[Overrides]] = []
    keys: set[str] = set()
    for assignment in assignments:
        axis = _axis(assignment)
        for key, _ in axis[0]:
            if key in keys:
                raise RequestError(f"--set {assignment}: {key} is given twice; write its values as {key}=A,B")
            keys.add(key)
        axes.append(axis)
    if (number := prod(map(len, axes))) > MOST_POINTS:
        raise RequestError(f"these are {number:,} points, and a sweep has {MOST_POINTS:,} at most: give fewer values")
    combinations = [tuple(chain(*values)) for values in product(*axes)]
    if len(combinations) < 2:
        raise RequestError("a sweep needs at least two points, as in --set base_lr=0.1,0.01; hpcbrew submit runs one")
    return combinations


def _axis(assignment: str) -> list[Overrides]:
    """Returns the values of one `--set`, each with its key or keys."""
    left, right = overrides.split(assignment)
    keys = [key.strip() for key in left.split(",")]
    values = [value.strip() for value in right.split(",")]
    if "" in values or len(set(values)) < len(values):
        raise RequestError(f"--set {assignment}: write distinct values separated by commas, as in base_lr=0.1,0.01")
    if len(keys) == 1:
        return [((keys[0], value),) for value in values]
    if "" in keys or len(set(keys)) < len(keys):
        raise RequestError(f"--set {assignment}: write distinct keys separated by commas, as in {TOGETHER}")
    parts_by_value = [[part.strip() for part in value.split(":")] for value in values]
    for value, parts in zip(values, parts_by_value, strict=True):
        if len(parts) != len(keys) or "" in parts:
            raise RequestError(
                f"--set {assignment}: with {len(keys)} keys, each value needs {len(keys)} parts joined by colons, as "
                f"in {TOGETHER}; {value!r} has {len([part for part in parts if part])}"
            )
    return [tuple(zip(keys, parts, strict=True)) for parts in parts_by_value]


def plan(
    request: JobRequest,
    cluster: Cluster,
    overrides_by_point: Sequence[Overrides],
    machine: Machine,
    token: str,
) -> JobPlan:
    """Plans one job array with a folder for each point. `machine` and `token`: as for `plan_job`.

    Raises RequestError if it should wait for a chain, and what `plan_job` raises.
    """
    if request.after and request.after.folder:
        raise RequestError(
            f"--after {request.after.name}: is a chain of jobs, and an array cannot wait for a chain: "
            "submit the sweep when it is done"
        )
    return plan_job(request, cluster, machine, token, overrides_by_point)
