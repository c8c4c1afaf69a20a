"""JobRequest + Cluster + Manifest → JobPlan. Pure: `--dry-run` prints what comes out, `submit` carries it out."""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath

from hpcbrew import digest, handover, limits, runfolder, schedulers
from hpcbrew.cluster import Cluster
from hpcbrew.digest import Measured
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan, JobRequest, Upload
from hpcbrew.limits import Settled
from hpcbrew.manifest import SOLVER, Item, Manifest
from hpcbrew.render import render
from hpcbrew.schedulers.directives import directives

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*")

# Where `hpcbrew setup` puts the engine, below a cluster's scratch folder.
ENGINE = PurePosixPath("engine")


def plan(
    request: JobRequest,
    cluster: Cluster,
    manifest: Manifest,
    settled: Settled,
    measured: Mapping[Item, Measured],
    token: str,
) -> JobPlan:
    """`measured` holds every item of the manifest that is to be shipped; a local job uses them where they lie.

    Raises RequestError for a name that the scheduler does not take.
    """
    name = _name(request, manifest, cluster)
    folder = runfolder.path(name, token)
    up = PurePosixPath(*[".."] * len(folder.parts))

    def where(item: Item) -> PurePosixPath:
        return up / digest.place(measured[item]) if item in measured else PurePosixPath(item.path)

    texts = manifest.texts(lambda item: str(where(item)))
    script = render(
        cluster.template,
        name=name,
        token=token,
        cluster=cluster.name,
        directives=directives(name, settled, cluster),
        modules=cluster.modules,
        environment=cluster.environment,
        log=runfolder.LOG,
        exit=runfolder.EXIT,
        id=runfolder.ID,
        engine=_engine(cluster, up),
        check_engine=cluster.scheduler != "local",
        arguments=_arguments(manifest, settled, where),
    )
    qsub = schedulers.of(cluster.address).submit_command(PurePosixPath(runfolder.SCRIPT))
    described = _describe(request, cluster, manifest, settled, name, token)
    made = {runfolder.SCRIPT: script, runfolder.JOB: described, **texts}
    return JobPlan(
        token=token,
        name=name,
        address=cluster.address,
        lacks=limits.lacks(settled, cluster),
        scratch=cluster.scratch or "",
        run_folder=folder,
        script=script,
        definitions=tuple(_made(folder / target, text) for target, text in made.items()),
        data=tuple(upload for m in measured.values() for upload in _uploads(m)),
        command=handover.command(qsub),
    )


def _name(request: JobRequest, manifest: Manifest, cluster: Cluster) -> str:
    if request.name is not None:
        if not NAME.fullmatch(request.name) or len(request.name) > cluster.name_length:
            raise RequestError(
                f"--name {request.name!r}: a job's name starts with a letter, has only letters, digits and _ . + -, "
                f"and has at most {cluster.name_length} characters on {cluster.name}"
            )
        return request.name
    nets = [message.name for key, message in manifest.definitions.items() if key != SOLVER and message.name]  # type: ignore[union-attr]
    words = nets[0] if nets else manifest.solver_path.parent.name
    clean = re.sub(r"[^A-Za-z0-9_.+-]+", "-", words).strip("-.").lower()
    return (clean if NAME.fullmatch(clean) else f"job-{clean}".rstrip("-"))[: min(cluster.name_length, 40)]


def _engine(cluster: Cluster, up: PurePosixPath) -> list[str]:
    """On this machine the engine runs in the Python that hpcbrew runs in; -P keeps run folders off its path."""
    if cluster.scheduler == "local":
        return [sys.executable, "-P", "-m", "engine.cli"]
    return [str(up / ENGINE / "bin" / "caffe")]


def _arguments(manifest: Manifest, settled: Settled, where: Callable[[Item], PurePosixPath]) -> list[str]:
    arguments = ["train", "-solver", SOLVER]
    if settled.gpus:
        arguments += ["-gpu", "0" if settled.gpus == 1 else "all"]
    if manifest.weights:
        arguments += ["-weights", ",".join(str(where(item)) for item in manifest.weights)]
    if manifest.resume:
        arguments += ["-snapshot", str(where(manifest.resume) / manifest.resume.members[0])]
    return arguments


def _describe(
    request: JobRequest, cluster: Cluster, manifest: Manifest, settled: Settled, name: str, token: str
) -> str:
    """job.json: what another machine needs to know of this run folder."""
    values = {
        "name": name,
        "token": token,
        "cluster": cluster.name,
        "solver": str(manifest.solver_path),
        "max_iter": manifest.solver.max_iter,
        "set": dict(request.overrides),
        "resources": asdict(settled),
    }
    return json.dumps(values, indent=2) + "\n"


def _made(target: PurePosixPath, text: str) -> Upload:
    data = text.encode()
    return Upload(target, len(data), hashlib.sha256(data).hexdigest(), content=data)


def _uploads(measured: Measured) -> list[Upload]:
    base, item = digest.place(measured), measured.item
    if any(".." in member.parts for member in item.members):
        raise RequestError(f"{item.path}: a list names files outside of its folder (with ..): they cannot be shipped")
    targets = [base / member for member in item.members] or [base]
    rows = zip(targets, measured.sizes, measured.digests, item.files, strict=True)
    return [Upload(target, size, sha256, source=path) for target, size, sha256, path in rows]
