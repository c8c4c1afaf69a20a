"""The #PBS lines of a job: what it asks of the cluster, in the style that the site wants."""

from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.job import After
from hpcbrew.plan.resources import Resources
from hpcbrew.units import clock, pbs_size


def directives(
    name: str,
    settled: Resources,
    cluster: Cluster,
    *,
    after: After | None = None,
    mail: str | None = None,
    array: int = 0,
) -> list[str]:
    """What follows `#PBS` on each line. `array`: the number of jobs, where it is an array.

    -o is relative: qsub takes it from the folder that it is called in."""
    lines = [f"-N {name}", *(f"-l {resource}" for resource in _resources(settled, cluster))]
    lines.append(f"-l walltime={clock(settled.walltime)}")
    lines += [f"-l {key}={value}" for key, value in cluster.resources.extra.items()]
    if settled.queue or cluster.server:
        lines.append(f"-q {settled.queue or ''}{f'@{cluster.server}' if cluster.server else ''}")
    if settled.project:
        flag = cluster.account.flag
        lines.append(f"{flag}{settled.project}" if flag.endswith("=") else f"{flag} {settled.project}")
    if after:
        lines.append(f"-W depend={'afterany' if after.folder else 'afterok'}:{after.id}")
    if mail:
        lines += ["-m ae", f"-M {mail}"]
    # PBS would run the script with the user's login shell; a job that is run again starts with a run folder in use.
    # PBS takes no array that may not be run again.
    torque = cluster.resources.style == "nodes"
    again = [f"{'-t' if torque else '-J'} 1-{array}", "-r y"] if array else ["-r n"]
    # Without its index, the jobs of an array would write over one file.
    output = layout.point("^array_index^") if array and not torque else PurePosixPath()
    return [*lines, "-S /bin/bash", *again, "-j oe", f"-o {output / layout.SCHEDULER_LOG}"]


def _resources(settled: Resources, cluster: Cluster) -> list[str]:
    if cluster.resources.style == "top":
        resources = {"ncpus": settled.cpus * settled.nodes, "ngpus": settled.gpus * settled.nodes, **settled.select}
        mem = [f"mem={pbs_size(settled.mem * settled.nodes)}"] if settled.mem else []
        return [*(f"{key}={value}" for key, value in resources.items() if value), *mem]
    if cluster.resources.style == "nodes":
        gpus = f":gpus={settled.gpus}" if settled.gpus else ""
        features = "".join(f":{value}" for value in settled.select.values())
        mem = [f"mem={pbs_size(settled.mem * settled.nodes)}"] if settled.mem else []
        return [f"nodes={settled.nodes}:ppn={settled.cpus}{gpus}{features}", *mem]
    place = [f"place={cluster.resources.place}"] if cluster.resources.place else []
    return [f"select={_select(settled, cluster)}", *place]


def _select(settled: Resources, cluster: Cluster) -> str:
    chunks, share = settled.nodes, 1
    if cluster.resources.chunk == "gpu" and settled.gpus:
        chunks, share = settled.nodes * settled.gpus, settled.gpus
    parts = {"ncpus": str(max(1, settled.cpus // share))}
    if settled.gpus:
        parts["ngpus"] = str(settled.gpus // share)
    if settled.mem:
        parts["mem"] = pbs_size(settled.mem // share)
    return ":".join([str(chunks), *(f"{key}={value}" for key, value in (parts | settled.select).items())])
