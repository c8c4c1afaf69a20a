"""A new job from another's run folder: its definitions as they lie there, its resources, its last good snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew import layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobPlan, JobRecord, JobRequest
from hpcbrew.plan import overrides
from hpcbrew.plan.build import Job, assemble
from hpcbrew.plan.hardware import Machine
from hpcbrew.plan.resources import Resources, resolve
from hpcbrew.track import run_folder
from hpcbrew.transports.base import Transport


def plan(
    record: JobRecord, request: JobRequest, cluster: Cluster, transport: Transport, machine: Machine, token: str
) -> JobPlan:
    """`request` says what is to be different: walltime, queue, project, overrides, links, mail, after.

    One job of a sweep goes on as a job by itself. `machine` and `token`: as for `plan_job`.
    Raises RequestError where there is no snapshot to go on from, or nothing left to do; TransportError where the run
    folder is gone.
    """
    described = run_folder.describe(record, transport)
    if described.points and record.point is None:
        raise RequestError(
            f"{record.name} is a sweep, and resume goes on with one job of it: hpcbrew resume '{record.name}[1]'"
        )
    snapshots = transport.sizes(record.run_folder / layout.SNAPSHOTS)
    newest = run_folder.newest_state({str(path): size for path, size in snapshots.items()})
    if newest is None:
        raise RequestError(
            f"{record.name}: has left no snapshot in {record.run_folder / layout.SNAPSHOTS}: submit it again "
            "from its start"
        )
    state, iteration = newest
    texts = _definitions(record, described.definitions, transport)
    solver = overrides.apply(text.parse(texts[layout.SOLVER], pb.SolverParameter, layout.SOLVER), request.overrides)
    if iteration >= solver.max_iter:
        raise RequestError(
            f"{record.name}: all of its {solver.max_iter} iterations are done. To train on, give it more: "
            f"hpcbrew resume {record.id or record.token} --set max_iter={2 * solver.max_iter}"
        )
    name, own = record.name, {}
    if record.point is not None:
        name, own = f"{described.name}-{record.point}"[: cluster.name_length], described.points[record.point - 1]
    folder = record.run_folder.relative_to(run_folder.described_in(record).parent)
    overridden = tuple({**described.overrides, **own, **dict(request.overrides)}.items())
    request = replace(request, overrides=overridden, engine=described.engine)
    return assemble(
        Job(name, token, record.solver, solver.max_iter, request),
        cluster,
        _resources(described.resources, request, cluster, machine),
        texts={**texts, layout.SOLVER: text.format(solver)},
        snapshot=str(PurePosixPath("..") / folder / layout.SNAPSHOTS / state),
    )


def _definitions(record: JobRecord, definitions: Sequence[str], transport: Transport) -> dict[str, str]:
    """Their paths to data are relative, or absolute on this machine: they hold in any run folder beside that one.

    The folder of a point lies deeper, by as much as `runfolder.point` has it.
    """
    within = "" if record.point is None else f"{layout.point(record.point)}/"
    names = [name.removeprefix(within) for name in definitions if name.startswith(within)]
    found = transport.read_all([record.run_folder / name for name in names])
    lost = [name for name, data in zip(names, found, strict=True) if data is None]
    if lost:
        raise TransportError(f"{record.run_folder / lost[0]}: is gone: {record.name} cannot be gone on with")
    deeper = "../" * within.count("/")
    texts = {name: (data or b"").decode() for name, data in zip(names, found, strict=True)}
    before, now = f"../../{deeper}{layout.DATA}/", f"../../{layout.DATA}/"
    return {name: written.replace(before, now) for name, written in texts.items()}


def _resources(described: Mapping[str, Any], request: JobRequest, cluster: Cluster, machine: Machine) -> Resources:
    """The resources of before, but for what is asked for anew; checked against the profile of today."""
    before = Resources(**described)
    wanted = replace(
        request,
        nodes=before.nodes,
        gpus_per_node=before.gpus,
        cpus=before.cpus,
        mem=before.mem,
        walltime=request.walltime or before.walltime,
        queue=request.queue or before.queue,
        project=request.project or before.project,
    )
    return replace(resolve(wanted, cluster, machine), select=before.select)
