"""A new job from another's run folder: its definitions as they lie there, its resources, its last good snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from typing import Any

from engine.printable import printable
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew import layout, train_flags
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobPlan, JobRecord, JobRequest, Resources
from hpcbrew.plan import overrides
from hpcbrew.plan.build import Job, assemble
from hpcbrew.plan.hardware import Machine
from hpcbrew.plan.resources import resolve
from hpcbrew.track import run_folder
from hpcbrew.track.job_description import JobDescription
from hpcbrew.transports.base import Contents, NoRecord, Transport


@dataclass(frozen=True)
class Previous:
    """A job to go on from, as its run folder tells.

    `newest`: the name of its last solver state that is whole, and that one's iteration.
    `texts`: its definitions by their names, with paths that hold in a run folder beside it.
    """

    record: JobRecord
    description: JobDescription
    newest: tuple[str, int] | None
    texts: Mapping[str, str]


def read(record: JobRecord, transport: Transport) -> Previous:
    """Raises RequestError for a sweep as a whole, TransportError where the run folder is gone, or part of it."""
    description = run_folder.describe(record, transport)
    if description.points and record.point is None:
        raise RequestError(
            f"{record.name} is a sweep, and resume goes on with one job of it: hpcbrew resume '{record.name}[1]'"
        )
    snapshots = transport.sizes(record.run_folder / layout.SNAPSHOTS)
    newest = run_folder.newest_state({str(path): size for path, size in snapshots.items()})
    return Previous(record, description, newest, _definitions(record, description.definitions, transport))


def plan(previous: Previous, request: JobRequest, cluster: Cluster, machine: Machine, token: str) -> JobPlan:
    """`request` says what is to be different: walltime, queue, project, overrides, links, mail, after. `machine` and
    `token`: as for `plan_job`. One job of a sweep goes on as a job by itself.

    Raises RequestError where there is no snapshot to go on from, or nothing left to do; TransportError where the run
    folder tells too little.
    """
    record, description = previous.record, previous.description
    if previous.newest is None:
        raise RequestError(
            f"{record.name}: has left no snapshot in {record.run_folder / layout.SNAPSHOTS}: submit it again "
            "from its start"
        )
    state, iteration = previous.newest
    before = text.parse(previous.texts[layout.SOLVER], pb.SolverParameter, layout.SOLVER)
    solver = overrides.apply(before, request.overrides)
    if iteration >= solver.max_iter:
        raise RequestError(
            f"{record.name}: all of its {solver.max_iter} iterations are done. To train on, give it more: "
            f"hpcbrew resume {record.id or record.token} --set max_iter={2 * solver.max_iter}"
        )
    name = record.name  # and not what the cluster calls it: it names folders here too
    if record.point is not None:
        name = f"{name.removesuffix(f'[{record.point}]')}-{record.point}"[: cluster.name_length]
    overridden = tuple({**description.settings(record.point), **dict(request.overrides)}.items())
    request = replace(
        request,
        overrides=overridden,
        engine=description.engine,
        layers=description.layers,
        flags=train_flags.merged(description.flags, request.flags),
    )
    folder = record.run_folder.relative_to(run_folder.described_in(record).parent)
    return assemble(
        Job(name, token, record.solver, solver.max_iter, request),
        cluster,
        _resources(description.resources, request, cluster, machine),
        texts={**previous.texts, layout.SOLVER: text.format(solver)},
        snapshot=str(PurePosixPath("..") / folder / layout.SNAPSHOTS / state),
    )


def _definitions(record: JobRecord, definitions: Sequence[str], transport: Transport) -> dict[str, str]:
    """Their paths to data are relative, or absolute on this machine: they hold in any run folder beside that one.

    The folder of a point lies deeper, by as much as `layout.point` has it.
    """
    within = "" if record.point is None else f"{layout.point(record.point)}/"
    names = [name.removeprefix(within) for name in definitions if name.startswith(within)]
    if layout.SOLVER not in names:
        raise TransportError(
            f"{run_folder.described_in(record) / layout.JOB}: lists no {within}{layout.SOLVER} among the definitions: "
            f"{record.name} cannot be gone on with"
        )
    found = transport.read_all([record.run_folder / name for name in names])
    deeper = "../" * within.count("/")
    texts = {name: _text(record, name, data) for name, data in zip(names, found, strict=True)}
    before, now = f"../../{deeper}{layout.DATA}/", f"../../{layout.DATA}/"
    return {name: written.replace(before, now) for name, written in texts.items()}


def _text(record: JobRecord, name: str, contents: Contents) -> str:
    """A definition. Raises TransportError where it is gone, or is none."""
    data = contents if isinstance(contents, bytes) else b""
    fault = "is gone" if contents is None else "has NULs in it" if b"\0" in data else ""
    fault = contents.why if isinstance(contents, NoRecord) else fault
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text, fault = "", f"is not valid text: {error.reason} at byte {error.start}"
    if fault:
        path = printable(str(record.run_folder / name), one_line=True)
        raise TransportError(f"{path}: {fault}: {record.name} cannot be gone on with")
    return text


def _resources(described: Mapping[str, Any], request: JobRequest, cluster: Cluster, machine: Machine) -> Resources:
    """The resources of before, but for what is asked for anew; checked against the profile of today."""
    if lacks := [field.name for field in fields(Resources) if field.name not in described]:
        raise TransportError(f"{layout.JOB}: resources: {', '.join(lacks)} is missing: the job cannot be gone on with")
    before = Resources(**{field.name: described[field.name] for field in fields(Resources)})
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
