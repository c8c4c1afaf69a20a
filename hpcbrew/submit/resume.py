"""Plans a new job from another's run folder: its definitions as stored there, its resources, its last good snapshot."""

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
    """A job to continue, as described by its run folder.

    `newest`: the name of its last complete solver state, and its iteration.
    `texts`: its definitions by name, with paths that are valid in a run folder beside it.
    """

    record: JobRecord
    description: JobDescription
    newest: tuple[str, int] | None
    texts: Mapping[str, str]


def read(record: JobRecord, transport: Transport) -> Previous:
    """Reads a run folder. Raises RequestError for a sweep as a whole, TransportError if all or part of the folder is
    gone."""
    description = run_folder.describe(record, transport)
    if description.points and record.point is None:
        raise RequestError(
            f"{record.name} is a sweep, but resume continues a single job of it: hpcbrew resume '{record.name}[1]'"
        )
    snapshots = transport.sizes(record.run_folder / layout.SNAPSHOTS)
    newest = run_folder.newest_state({str(path): size for path, size in snapshots.items()})
    return Previous(record, description, newest, _definitions(record, description.definitions, transport))


def plan(previous: Previous, request: JobRequest, cluster: Cluster, machine: Machine, token: str) -> JobPlan:
    """Plans the new job. `request` says what should differ: cpus, mem, walltime, queue, project, overrides, links,
    mail, after. `machine` and `token`: as for `plan_job`. A job of a sweep continues as a job by itself.

    Raises RequestError if there is no snapshot to continue from or nothing left to do, and TransportError if the run
    folder lacks information.
    """
    record, description = previous.record, previous.description
    if previous.newest is None:
        raise RequestError(
            f"{record.name}: left no snapshot in {record.run_folder / layout.SNAPSHOTS}: submit it again from the start"
        )
    state, iteration = previous.newest
    old_solver = text.parse(previous.texts[layout.SOLVER], pb.SolverParameter, layout.SOLVER)
    solver = overrides.apply(old_solver, request.overrides)
    if iteration >= solver.max_iter:
        raise RequestError(
            f"{record.name}: all of its {solver.max_iter} iterations are done. To train further, raise max_iter: "
            f"hpcbrew resume {record.id or record.token} --set max_iter={2 * solver.max_iter}"
        )
    name = record.name  # not the name that the cluster says: it is used for folders here too
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
    """Returns the definitions. Their paths to data are relative, or absolute for jobs on this machine, so they are
    valid in any run folder beside the old one.

    The folder of a sweep's point is nested deeper, as deep as `layout.point` says.
    """
    prefix = "" if record.point is None else f"{layout.point(record.point)}/"
    names = [name.removeprefix(prefix) for name in definitions if name.startswith(prefix)]
    if layout.SOLVER not in names:
        raise TransportError(
            f"{run_folder.described_in(record) / layout.JOB}: lists no {prefix}{layout.SOLVER} among the definitions: "
            f"{record.name} cannot be resumed"
        )
    contents = transport.read_all([record.run_folder / name for name in names])
    levels = "../" * prefix.count("/")
    texts = {name: _text(record, name, data) for name, data in zip(names, contents, strict=True)}
    old_path, new_path = f"../../{levels}{layout.DATA}/", f"../../{layout.DATA}/"
    return {name: definition.replace(old_path, new_path) for name, definition in texts.items()}


def _text(record: JobRecord, name: str, contents: Contents) -> str:
    """Returns the text of a definition. Raises TransportError if it is missing or not text."""
    data = contents if isinstance(contents, bytes) else b""
    fault = "is missing" if contents is None else "contains NUL bytes" if b"\0" in data else ""
    fault = contents.reason if isinstance(contents, NoRecord) else fault
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text, fault = "", f"is not valid text: {error.reason} at byte {error.start}"
    if fault:
        path = printable(str(record.run_folder / name), one_line=True)
        raise TransportError(f"{path}: {fault}: {record.name} cannot be resumed")
    return text


def _resources(recorded: Mapping[str, Any], request: JobRequest, cluster: Cluster, machine: Machine) -> Resources:
    """Returns the old job's resources with the request's changes, checked against the current profile."""
    if lacks := [field.name for field in fields(Resources) if field.name not in recorded]:
        raise TransportError(f"{layout.JOB}: resources: missing {', '.join(lacks)}: the job cannot be resumed")
    old = Resources(**{field.name: recorded[field.name] for field in fields(Resources)})
    changed_request = replace(
        request,
        nodes=old.nodes,
        gpus_per_node=old.gpus,
        cpus=request.cpus or old.cpus,
        mem=request.mem or old.mem,
        walltime=request.walltime or old.walltime,
        queue=request.queue or old.queue,
        project=request.project or old.project,
    )
    return replace(resolve(changed_request, cluster, machine), select=old.select)
