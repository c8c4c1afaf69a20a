"""JobRequest + Cluster → JobPlan, which `--dry-run` prints and `submit` carries out.

`plan_job` reads the user's files and their sizes. Everything after that is computed, without further reading.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath

from hpcbrew import layout, schedulers, train_flags
from hpcbrew.clusters.profiles import Cluster, Module
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan, JobRequest, Overrides, Resources, Upload
from hpcbrew.plan import advice, digests, gpu_age, memory, once, own_layers, snapshots
from hpcbrew.plan.digests import Measurement
from hpcbrew.plan.directives import chunk, directives, hosts
from hpcbrew.plan.hardware import Machine
from hpcbrew.plan.items import Item
from hpcbrew.plan.job_name import job_name
from hpcbrew.plan.manifest import Manifest, collect
from hpcbrew.plan.resources import gpu_kind, gpu_type, missing, resolve
from hpcbrew.plan.script import Chain, PbsCommands, ScriptContext, Training, render


def plan_job(
    request: JobRequest, cluster: Cluster, machine: Machine, token: str, points: Sequence[Overrides] = ()
) -> JobPlan:
    """Plans a job. `points`: for a sweep, the overrides of each point; each point is checked as a solver of its own.

    `machine` is this machine: its values are used where a profile says `detect`. `token` names the job: see
    `job.new_token`. A job on this machine uses its data in place; for any other cluster, the data are measured in order
    to be uploaded, except those expected to be there already.

    Raises RequestError for what the cluster does not allow or its scheduler does not accept, ManifestError for a
    missing file, and EngineError for definitions that cannot be used.
    """
    resources = resolve(request, cluster, machine)
    remote = cluster.transport != "local"
    requests = [replace(request, overrides=point) for point in points] or [request]
    manifests = [collect(each, remote=remote) for each in requests]
    for manifest in manifests:
        advice.check_length(manifest.solver, request.solver)
    items = dict.fromkeys(item for m in manifests for item in m.items if not item.on_cluster) if remote else ()
    measurements = {item: digests.measure(item) for item in items}
    return _plan(request, cluster, resources, manifests, measurements, token, points)


def _plan(
    request: JobRequest,
    cluster: Cluster,
    resources: Resources,
    manifests: Sequence[Manifest],
    measurements: Mapping[Item, Measurement],
    token: str,
    points: Sequence[Overrides],
) -> JobPlan:
    """`measurements` hold every item to be uploaded; the others are used in place."""
    first = manifests[0]
    name = job_name(request, first, cluster)
    folders = [layout.point(index) for index, _ in enumerate(points, 1)] or [PurePosixPath()]
    scratch = _up(layout.run_folder(name, token) / folders[0])

    def place(item: Item) -> PurePosixPath:
        return scratch / digests.place(measurements[item]) if item in measurements else PurePosixPath(item.path)

    modules = own_layers.used(first.definitions.values())
    sources = own_layers.sources(modules)
    texts = {
        str(folder / path): text
        for folder, manifest in zip(folders, manifests, strict=True)
        for path, text in {**sources, **manifest.texts(lambda item: str(place(item)))}.items()
    }
    max_iter = max(manifest.solver.max_iter for manifest in manifests)
    unknown = dict.fromkeys(words for manifest in manifests for words in manifest.unknown)
    layers = tuple(module.name for module in modules)
    request = replace(request, unknown=(*request.unknown, *unknown), layers=layers)
    kind = gpu_type(request, cluster)
    trained_nets = [(m.train_graph, m.sizes, m.solver) for m in manifests if m.train_graph]
    memory_bytes = max(
        (memory.need(*each, request.flags, gpu=bool(resources.gpus)) for each in trained_nets), default=0
    )
    largest = max((len(graph.nodes) for graph, _, _ in trained_nets), default=0)
    manifest_warnings = (words for manifest in manifests for words in manifest.warnings)
    return assemble(
        Job(name, token, str(first.solver_path), max_iter, request, tuple(dict(point) for point in points)),
        cluster,
        resources,
        texts=texts,
        data=uploads(measurements.values()),
        weights=["-weights", ",".join(str(place(item)) for item in first.weights)] if first.weights else [],
        snapshot=str(place(first.resume) / first.resume.members[0]) if first.resume else None,
        files_on_cluster=tuple(dict.fromkeys(need for manifest in manifests for need in _files_on_cluster(manifest))),
        warnings=tuple(
            dict.fromkeys(
                (
                    *manifest_warnings,
                    *gpu_age.warnings(gpu_kind(request, cluster), resources.gpus, cluster.gpu_types),
                    *memory.warnings(memory_bytes, largest, resources, kind, cluster.gpu_types.items()),
                )
            )
        ),
        memory_bytes=memory_bytes,
        snapshots=sum(snapshots.need(m.sizes, m.solver, request.flags) for m in manifests),
    )


def _files_on_cluster(manifest: Manifest) -> Iterator[tuple[str, PurePosixPath]]:
    for item in manifest.items:
        if item.on_cluster:
            yield from ((item.role, PurePosixPath(file)) for file in item.files)


@dataclass(frozen=True)
class Job:
    """A job without its files and resources. `solver`: the user's own file; `points`: those of a sweep."""

    name: str
    token: str
    solver: str
    max_iter: int
    request: JobRequest
    points: tuple[dict[str, str], ...] = ()


def assemble(
    job: Job,
    cluster: Cluster,
    resources: Resources,
    *,
    texts: Mapping[str, str],
    data: tuple[Upload, ...] = (),
    weights: Sequence[str] = (),
    snapshot: str | None = None,
    files_on_cluster: tuple[tuple[str, PurePosixPath], ...] = (),
    warnings: tuple[str, ...] = (),
    memory_bytes: int = 0,
    snapshots: int = 0,
) -> JobPlan:
    """Builds a job's plan: script, description, definitions and the command that submits it. `texts` are the
    definitions by their names in the run folder; `snapshot` is the solver state to continue from, relative to it.
    """
    folder = layout.run_folder(job.name, job.token)
    context = _context(job, cluster, resources, weights, snapshot)
    script = render(cluster.template, context)
    run_files = {layout.SCRIPT: script, layout.JOB: _describe(job, cluster, resources, texts, snapshot), **texts}
    submit = schedulers.of(cluster.address).submit_command(PurePosixPath(layout.SCRIPT))
    return JobPlan(
        token=job.token,
        name=job.name,
        address=cluster.address,
        missing=missing(resources, cluster, job.request.engine),
        scratch=cluster.scratch or "",
        run_folder=folder,
        script=script,
        definitions=tuple(_text_upload(folder / target, text) for target, text in run_files.items()),
        data=data,
        files_on_cluster=files_on_cluster,
        command=once.command(submit),
        resources=resources,
        max_iter=job.max_iter,
        links=job.request.links,
        points=len(job.points),
        unknown=job.request.unknown,
        warnings=warnings,
        chunk=_chunk(job.request, cluster, resources),
        hosts=hosts(resources, cluster),
        memory=memory_bytes,
        snapshots=snapshots,
        installed_engine=context.training.checked,
    )


def _chunk(request: JobRequest, cluster: Cluster, resources: Resources) -> dict[str, str]:
    """Returns what one node must hold, if the cluster has to be asked about it: if the user requests amounts other than
    the profile's and the profile does not say how large nodes are, or several nodes and it does not say how many a job
    may have. Otherwise empty."""
    amounts = request.cpus or request.mem or request.gpus_per_node
    large = amounts and not (cluster.cpus_per_node and cluster.mem_per_node)
    many = request.nodes > 1 and cluster.max_nodes is None
    if not (large or many) or cluster.scheduler != "pbs" or cluster.resources.style != "select":
        return {}
    return chunk(resources, cluster)


def _context(
    job: Job, cluster: Cluster, resources: Resources, weights: Sequence[str], snapshot: str | None
) -> ScriptContext:
    """Returns the values from which the script is rendered."""
    request, prefix = job.request, schedulers.of(cluster.address).prefix
    site_caffe = _site_caffe(request, cluster)
    after = request.after if request.after and request.after.folder else None
    return ScriptContext(
        name=job.name,
        token=job.token,
        cluster=cluster.name,
        directives=directives(
            job.name, resources, cluster, after=request.after, mail=request.mail, array=len(job.points)
        ),
        module_use=cluster.module_use,
        modules=(site_caffe,) if site_caffe else cluster.modules,
        environment=_proxies(cluster) | cluster.environment,
        umask=cluster.umask,
        local_disk=cluster.local_disk,
        points=bool(job.points),
        nodes=resources.nodes,
        gpus=resources.gpus,
        training=_training(job, cluster, resources, weights, snapshot),
        pbs=PbsCommands((*prefix, "qsub"), (*prefix, "qdel"), cluster.launcher),
        chain=Chain(request.links) if request.links != 1 else None,
        after=after,
    )


def _training(
    job: Job, cluster: Cluster, resources: Resources, weights: Sequence[str], snapshot: str | None
) -> Training:
    scratch = _up(layout.run_folder(job.name, job.token) / (layout.point(1) if job.points else ""))
    site_caffe = _site_caffe(job.request, cluster)
    state = ("-snapshot", snapshot) if snapshot else ("-snapshot", "auto") if job.points else ()
    start = (*weights, *state)
    return Training(
        command=_engine(cluster, scratch),
        arguments=(
            "train",
            "-solver",
            layout.SOLVER,
            *_gpus(resources),
            *train_flags.arguments(job.request.flags, job.request.engine),
            *_layers(job.request),
            *(start if job.request.links == 1 else ()),
        ),
        start=start,
        snapshot=snapshot,
        max_iter=job.max_iter,
        seconds=resources.walltime - min(60, resources.walltime // 10),
        python=str(scratch / layout.ENGINE / "bin" / "python"),
        checked=cluster.scheduler != "local" and site_caffe is None,
        cache=str(scratch / layout.CACHE),
        site_module=site_caffe.load if site_caffe else None,
    )


def _layers(request: JobRequest) -> tuple[str, ...]:
    """Returns the arguments for the user's own layers. Raises RequestError for the site's own Caffe, which has none."""
    if request.layers and request.engine == "module":
        raise RequestError(
            f"--engine module: the site's Caffe does not have your own layers ({', '.join(request.layers)})"
        )
    return ("-layers", ",".join(request.layers)) if request.layers else ()


def _up(folder: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(*[".."] * len(folder.parts))


def _engine(cluster: Cluster, scratch: PurePosixPath) -> tuple[str, ...]:
    """On this machine the engine runs in the same Python as hpcbrew; -P keeps the run folder off its path."""
    if cluster.scheduler == "local":
        return (sys.executable, "-P", "-m", "engine.cli")
    return (str(scratch / layout.ENGINE / "bin" / "caffe"),)


def _site_caffe(request: JobRequest, cluster: Cluster) -> Module | None:
    """Returns the module of the site's own Caffe if it was requested. Raises RequestError if the profile names none."""
    if request.engine != "module":
        return None
    if cluster.caffe_module is None:
        raise RequestError(
            f"--engine module: the profile of {cluster.name} names no Caffe module; add one to your own profile: "
            "caffe_module: {load: apps/Caffe}"
        )
    return cluster.caffe_module


def _proxies(cluster: Cluster) -> dict[str, str]:
    """Returns the proxy variables in both cases, since programs differ in which they read."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return dict.fromkeys(names, cluster.proxy) if cluster.proxy else {}


def _gpus(resources: Resources) -> list[str]:
    """GPUs are given by number: on a site that does not hide other jobs' GPUs, `all` would take those too. With several
    nodes, the script gives each its own."""
    if not resources.gpus or resources.nodes > 1:
        return []
    return ["-gpu", ",".join(map(str, range(resources.gpus)))]


def _describe(job: Job, cluster: Cluster, resources: Resources, texts: Mapping[str, str], snapshot: str | None) -> str:
    """Returns the text of job.json: what another machine needs to know about this run folder."""
    values = {
        "name": job.name,
        "token": job.token,
        "cluster": cluster.name,
        "solver": job.solver,
        "max_iter": job.max_iter,
        "set": dict(job.request.overrides),
        "resources": asdict(resources),
        "links": job.request.links,
        "engine": job.request.engine,
        **({"layers": job.request.layers} if job.request.layers else {}),
        **({"flags": job.request.flags} if job.request.flags else {}),
        "after": asdict(job.request.after) if job.request.after else None,
        "definitions": list(texts),
        "snapshot": snapshot,
        **({"points": job.points} if job.points else {}),
    }
    return json.dumps(values, indent=2) + "\n"


def _text_upload(target: PurePosixPath, text: str) -> Upload:
    data = text.encode()
    return Upload(target, len(data), hashlib.sha256(data).hexdigest(), content=data)


def uploads(items: Iterable[Measurement]) -> tuple[Upload, ...]:
    """Returns the files of all items with their places below scratch, each once: two items may have the same digest.

    Raises RequestError for a file that would be placed outside.
    """
    return tuple({upload.target: upload for measurement in items for upload in _files(measurement)}.values())


def _files(measurement: Measurement) -> Iterator[Upload]:
    base, item = digests.place(measurement), measurement.item
    if any(".." in member.parts for member in item.members):
        raise RequestError(f"{item.path}: a list names files outside its folder (with ..), which cannot be sent")
    targets = [base / member for member in item.members] or [base]
    for target, size, sha256, path in zip(targets, measurement.sizes, measurement.digests, item.files, strict=True):
        yield Upload(target, size, sha256, source=path, role=item.role)
