"""Sweeps: every combination of some solver fields' values, each a point of its own, all of them one array job."""

from collections.abc import Sequence
from itertools import product

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan, JobRequest, Overrides
from hpcbrew.plan import overrides
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine


def points(assignments: Sequence[str]) -> list[Overrides]:
    """Every combination of `KEY=A,B,…`, the last key changing fastest. Raises RequestError for fewer than two."""
    axes: dict[str, list[str]] = {}
    for assignment in assignments:
        key, values = overrides.split(assignment)
        if key in axes:
            raise RequestError(f"--set {assignment}: {key} is given twice; write its values as {key}=A,B")
        axes[key] = [value.strip() for value in values.split(",")]
        if "" in axes[key] or len(set(axes[key])) < len(axes[key]):
            raise RequestError(f"--set {assignment}: write different values parted by commas, as in base_lr=0.1,0.01")
    combined = [tuple(zip(axes, values, strict=True)) for values in product(*axes.values())]
    if len(combined) < 2:
        raise RequestError("a sweep has two points at least, as in --set base_lr=0.1,0.01; hpcbrew submit runs one")
    return combined


def plan(
    request: JobRequest,
    cluster: Cluster,
    wanted: Sequence[Overrides],
    machine: Machine,
    token: str,
) -> JobPlan:
    """One job array, a folder for each point. `machine` and `token`: as for `plan_job`.

    Raises RequestError where it is to begin after a chain, and what `plan_job` raises.
    """
    if request.after and request.after.folder:
        raise RequestError(
            f"--after {request.after.name}: is a chain of jobs, and an array cannot wait for one: "
            "submit the sweep when it is done"
        )
    return plan_job(request, cluster, machine, token, wanted)
