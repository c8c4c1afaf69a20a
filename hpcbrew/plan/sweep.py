"""Sweeps: every combination of some solver fields' values, each a point of its own, all of them one array job."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan, JobRequest
from hpcbrew.plan import digests, overrides
from hpcbrew.plan.build import Job, assemble, job_name, uploads
from hpcbrew.plan.digests import Measured
from hpcbrew.plan.manifest import Item, Manifest, collect
from hpcbrew.plan.resources import Resources

Point = tuple[tuple[str, str], ...]


def points(assignments: Sequence[str]) -> list[Point]:
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
    settled: Resources,
    wanted: Sequence[Point],
    measure: Callable[[Item], Measured],
) -> JobPlan:
    """One job array, a folder for each point. Each point is checked as a solver of its own."""
    if request.after and request.after.folder:
        raise RequestError(
            f"--after {request.after.name}: is a chain of jobs, and an array cannot wait for one: "
            "submit the sweep when it is done"
        )
    manifests = [collect(replace(request, overrides=point)) for point in wanted]
    items = {} if cluster.transport == "local" else {i: measure(i) for m in manifests for i in m.items}
    first = manifests[0]
    token, name = secrets.token_hex(4), job_name(request, first, cluster)
    folder = layout.run_folder(name, token)
    up = PurePosixPath(*[".."] * len((folder / layout.point(1)).parts))

    def where(item: Item) -> str:
        return str(up / digests.place(items[item]) if item in items else item.path)

    texts: dict[str, str] = {}
    for index, manifest in enumerate(manifests, 1):
        texts |= {str(layout.point(index) / path): text for path, text in manifest.texts(where).items()}
    weights = ["-weights", ",".join(where(item) for item in first.weights)] if first.weights else []
    job = Job(name, token, str(first.solver_path), _iterations(manifests), request, tuple(dict(p) for p in wanted))
    return assemble(job, cluster, settled, texts=texts, data=uploads(items.values()), weights=weights)


def _iterations(manifests: Sequence[Manifest]) -> int:
    return max(manifest.solver.max_iter for manifest in manifests)
