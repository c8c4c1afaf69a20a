"""JobRequest + Cluster + Manifest → JobPlan. Pure: `--dry-run` prints what comes out, `submit` carries it out."""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from hpcbrew import layout, schedulers
from hpcbrew.clusters.profiles import Cluster, Module
from hpcbrew.errors import RequestError
from hpcbrew.job import NAME, JobPlan, JobRequest, Upload
from hpcbrew.plan import digests, once, resources
from hpcbrew.plan.digests import Measured
from hpcbrew.plan.directives import directives
from hpcbrew.plan.manifest import Item, Manifest
from hpcbrew.plan.resources import Resources
from hpcbrew.plan.script import render
from hpcbrew.schedulers import pbs_status


def plan(
    request: JobRequest,
    cluster: Cluster,
    manifest: Manifest,
    settled: Resources,
    measured: Mapping[Item, Measured],
    token: str,
) -> JobPlan:
    """`measured` holds every item of the manifest that is to be shipped; a local job uses them where they lie.

    Raises RequestError for a name that the scheduler does not take.
    """
    name = job_name(request, manifest, cluster)
    up = _up(layout.run_folder(name, token))

    def where(item: Item) -> PurePosixPath:
        return up / digests.place(measured[item]) if item in measured else PurePosixPath(item.path)

    weights = ["-weights", ",".join(str(where(item)) for item in manifest.weights)] if manifest.weights else []
    return assemble(
        Job(name, token, str(manifest.solver_path), manifest.solver.max_iter, request),
        cluster,
        settled,
        texts=manifest.texts(lambda item: str(where(item))),
        data=uploads(measured.values()),
        weights=weights,
        snapshot=str(where(manifest.resume) / manifest.resume.members[0]) if manifest.resume else None,
    )


@dataclass(frozen=True)
class Job:
    """What a job is, apart from what it takes along. `solver`: the user's own file; `points`: of a sweep."""

    name: str
    token: str
    solver: str
    max_iter: int
    request: JobRequest
    points: tuple[dict[str, str], ...] = ()


def assemble(
    job: Job,
    cluster: Cluster,
    settled: Resources,
    *,
    texts: Mapping[str, str],
    data: tuple[Upload, ...] = (),
    weights: Sequence[str] = (),
    snapshot: str | None = None,
) -> JobPlan:
    """Script, description and definitions of a job, and how it is submitted. `texts` are the definitions by their
    names in the run folder; `snapshot` is the solver state to go on from, as seen from there.
    """
    request, folder = job.request, layout.run_folder(job.name, job.token)
    up = _up(folder / layout.point(1) if job.points else folder)
    chain = request.links != 1
    scheduler = schedulers.of(cluster.address)
    site_caffe = _site_caffe(request, cluster)
    state = ["-snapshot", snapshot] if snapshot else ["-snapshot", "auto"] if job.points else []
    start = [*weights, *state]
    script = render(
        cluster.template,
        name=job.name,
        token=job.token,
        cluster=cluster.name,
        directives=directives(
            job.name, settled, cluster, after=request.after, mail=request.mail, array=len(job.points)
        ),
        points=layout.POINTS if job.points else None,
        modules=(site_caffe,) if site_caffe else cluster.modules,
        environment=_proxies(cluster) | cluster.environment,
        site_caffe=site_caffe.load if site_caffe else None,
        max_iter=job.max_iter,
        metrics=layout.METRICS,
        progress=layout.PROGRESS,
        log=layout.LOG,
        exit=layout.EXIT,
        id=layout.ID,
        engine=_engine(cluster, up),
        check_engine=cluster.scheduler != "local",
        python=str(up / layout.ENGINE / "bin" / "python"),
        nodes=settled.nodes,
        gpus=settled.gpus,
        launcher=cluster.launcher,
        rank_log=layout.rank_log("$rank"),
        arguments=["train", "-solver", layout.SOLVER, *_gpus(settled), *([] if chain else start)],
        walltime=settled.walltime,
        margin=min(60, settled.walltime // 10),
        chain=chain,
        at_most=request.links,
        start=start,
        snapshot=snapshot,
        continues=pbs_status.CONTINUES,
        snapshots=layout.SNAPSHOTS,
        links=layout.LINKS,
        link_ids=layout.LINK_IDS,
        cancelled=layout.CANCELLED,
        no_room=pbs_status.NO_ROOM,
        after=request.after if request.after and request.after.folder else None,
        waited=layout.WAITED,
        never_began=pbs_status.NEVER_BEGAN,
        qsub=(*scheduler.prefix, "qsub"),
        qdel=(*scheduler.prefix, "qdel"),
        script=layout.SCRIPT,
    )
    made = {layout.SCRIPT: script, layout.JOB: _describe(job, cluster, settled, texts), **texts}
    return JobPlan(
        token=job.token,
        name=job.name,
        address=cluster.address,
        missing=resources.missing(settled, cluster, request.engine),
        scratch=cluster.scratch or "",
        run_folder=folder,
        script=script,
        definitions=tuple(_made(folder / target, text) for target, text in made.items()),
        data=data,
        command=once.command(scheduler.submit_command(PurePosixPath(layout.SCRIPT))),
    )


def _up(folder: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(*[".."] * len(folder.parts))


def job_name(request: JobRequest, manifest: Manifest, cluster: Cluster) -> str:
    """The job's name: as asked, or else the net's. Raises RequestError for one that the scheduler does not take."""
    if request.name is not None:
        if not NAME.fullmatch(request.name) or len(request.name) > cluster.name_length:
            raise RequestError(
                f"--name {request.name!r}: a job's name starts with a letter, has only letters, digits and _ . + -, "
                f"and has at most {cluster.name_length} characters on {cluster.name}"
            )
        return request.name
    nets = [message.name for key, message in manifest.definitions.items() if key != layout.SOLVER and message.name]  # type: ignore[union-attr]
    words = nets[0] if nets else manifest.solver_path.parent.name
    clean = re.sub(r"[^A-Za-z0-9_.+-]+", "-", words).strip("-.").lower()
    return (clean if NAME.fullmatch(clean) else f"job-{clean}".rstrip("-"))[: min(cluster.name_length, 40)]


def _engine(cluster: Cluster, up: PurePosixPath) -> list[str]:
    """On this machine the engine runs in the Python that hpcbrew runs in; -P keeps run folders off its path."""
    if cluster.scheduler == "local":
        return [sys.executable, "-P", "-m", "engine.cli"]
    return [str(up / layout.ENGINE / "bin" / "caffe")]


def _site_caffe(request: JobRequest, cluster: Cluster) -> Module | None:
    """The site's own Caffe, where it was asked for. Raises RequestError where there is none."""
    if request.engine != "module":
        return None
    if cluster.caffe_module is None:
        raise RequestError(
            f"--engine module: the profile of {cluster.name} names no module of a Caffe; put one into yours: "
            "caffe_module: {load: apps/Caffe}"
        )
    return cluster.caffe_module


def _proxies(cluster: Cluster) -> dict[str, str]:
    """What programs look for, each in the case that it knows."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return dict.fromkeys(names, cluster.proxy) if cluster.proxy else {}


def _gpus(settled: Resources) -> list[str]:
    """By number: where a site does not hide other jobs' GPUs, `all` would take those too. On several nodes the script
    tells each its own."""
    return ["-gpu", ",".join(map(str, range(settled.gpus)))] if settled.gpus and settled.nodes == 1 else []


def _describe(job: Job, cluster: Cluster, settled: Resources, texts: Mapping[str, str]) -> str:
    """job.json: what another machine needs to know of this run folder."""
    values = {
        "name": job.name,
        "token": job.token,
        "cluster": cluster.name,
        "solver": job.solver,
        "max_iter": job.max_iter,
        "set": dict(job.request.overrides),
        "resources": asdict(settled),
        "links": job.request.links,
        "engine": job.request.engine,
        "after": asdict(job.request.after) if job.request.after else None,
        "definitions": list(texts),
        **({"points": job.points} if job.points else {}),
    }
    return json.dumps(values, indent=2) + "\n"


def _made(target: PurePosixPath, text: str) -> Upload:
    data = text.encode()
    return Upload(target, len(data), hashlib.sha256(data).hexdigest(), content=data)


def uploads(items: Iterable[Measured]) -> tuple[Upload, ...]:
    """The files of all items with their places below scratch, each once: two items may be the same by their digests.

    Raises RequestError for one that would lie outside.
    """
    return tuple({upload.target: upload for measured in items for upload in _files(measured)}.values())


def _files(measured: Measured) -> Iterator[Upload]:
    base, item = digests.place(measured), measured.item
    if any(".." in member.parts for member in item.members):
        raise RequestError(f"{item.path}: a list names files outside of its folder (with ..): they cannot be shipped")
    targets = [base / member for member in item.members] or [base]
    for target, size, sha256, path in zip(targets, measured.sizes, measured.digests, item.files, strict=True):
        yield Upload(target, size, sha256, source=path)
