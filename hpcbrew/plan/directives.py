"""The #PBS lines of a job: what it requests of the cluster, in the style that the site wants."""

from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.job import After, Resources
from hpcbrew.units import clock, pbs_size


def directives(
    name: str,
    resources: Resources,
    cluster: Cluster,
    *,
    after: After | None = None,
    mail: str | None = None,
    array: int = 0,
) -> list[str]:
    """Returns what follows `#PBS` on each line. `array`: the number of jobs if it is an array.

    The path for -o is relative: qsub takes it relative to the folder in which it is called."""
    lines = [f"-N {name}", *(f"-l {resource}" for resource in _resources(resources, cluster))]
    lines.append(f"-l walltime={clock(resources.walltime)}")
    lines += [f"-l {key}={value}" for key, value in cluster.resources.extra.items()]
    if resources.queue or cluster.server:
        lines.append(f"-q {resources.queue or ''}{f'@{cluster.server}' if cluster.server else ''}")
    if resources.project:
        flags = (flag if flag.endswith("=") else f"{flag} " for flag in cluster.account.flag)
        lines += [f"{flag}{resources.project}" for flag in flags]
    lines += cluster.directives
    torque = cluster.resources.style == "nodes"
    if after:
        of_array = "array" if torque and "[" in after.id else ""
        lines.append(f"-W depend={'afterany' if after.folder else 'afterok'}{of_array}:{after.id}")
    if mail:
        lines += ["-m ae", f"-M {mail}"]
    if cluster.umask and cluster.scheduler == "pbs":
        lines.append(f"-W umask={cluster.umask}")
    # Without -S, PBS would run the script in the user's login shell. A job that PBS reran would start in a used run
    # folder, hence -r n; but PBS accepts only rerunnable arrays.
    rerun_flags = [f"{'-t' if torque else '-J'} 1-{array}", "-r y"] if array else ["-r n"]
    # Without the index, the jobs of an array would overwrite each other's file.
    output = layout.point("^array_index^") if array and not torque else PurePosixPath()
    return [*lines, "-S /bin/bash", *rerun_flags, "-j oe", f"-o {output / layout.SCHEDULER_LOG}"]


def _resources(resources: Resources, cluster: Cluster) -> list[str]:
    mem = [f"mem={pbs_size(resources.mem * resources.nodes)}"] if resources.mem else []
    if cluster.resources.style == "top":
        counts = _counts(resources.cpus * resources.nodes, resources.gpus * resources.nodes, cluster)
        return [*(f"{key}={value}" for key, value in (counts | resources.select).items()), *mem]
    if cluster.resources.style == "nodes":
        gpus_apart = resources.gpus if cluster.resources.gpus_apart else 0
        counts = _counts(resources.cpus, resources.gpus - gpus_apart, cluster)
        mem = [*(f"{key}={n}" for key, n in _counts(0, gpus_apart * resources.nodes, cluster).items()), *mem]
        parts = [str(resources.nodes), *(f"{key}={value}" for key, value in counts.items()), *resources.select.values()]
        return [f"nodes={':'.join(parts)}", *mem]
    place = _place(resources, cluster)
    chunks = resources.nodes * _share(resources, cluster)
    select = ":".join([str(chunks), *(f"{key}={value}" for key, value in chunk(resources, cluster).items())])
    return [f"select={select}", *([f"place={place}"] if place else [])]


def _counts(cpus: int, gpus: int, cluster: Cluster) -> dict[str, str]:
    """Returns the counts of cores and GPUs under the site's names, without zeros."""
    return {name: str(n) for name, n in zip(cluster.resources.counts, (cpus, gpus), strict=True) if name and n}


def _place(resources: Resources, cluster: Cluster) -> str | None:
    """Returns the `place` to request. By default PBS packs several chunks onto one host if they fit, which is wanted
    for chunks of single GPUs but not for whole nodes."""
    if cluster.resources.place:
        return cluster.resources.place
    return "scatter" if resources.nodes > 1 and cluster.resources.chunk == "node" else None


def hosts(resources: Resources, cluster: Cluster) -> int:
    """Returns the least number of machines over which the chunks of `select` must be spread."""
    return resources.nodes if (_place(resources, cluster) or "").startswith("scatter") else 1


def _share(resources: Resources, cluster: Cluster) -> int:
    """Returns the number of chunks into which one node's resources are divided."""
    return resources.gpus if cluster.resources.chunk == "gpu" and resources.gpus else 1


def chunk(resources: Resources, cluster: Cluster) -> dict[str, str]:
    """Returns what one chunk of `select` requests."""
    share = _share(resources, cluster)
    parts = _counts(max(1, resources.cpus // share), resources.gpus // share, cluster)
    if resources.mem:
        parts["mem"] = pbs_size(resources.mem // share)
    return parts | resources.select
