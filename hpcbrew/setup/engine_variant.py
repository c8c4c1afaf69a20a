"""Chooses the engine for a cluster: the one for GPUs brings some 3 GB of CUDA libraries."""

from pathlib import PurePosixPath

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.engine_facts import CPUS, GPUS
from hpcbrew.errors import HpcbrewError
from hpcbrew.schedulers import pbs_site
from hpcbrew.setup.report import Report
from hpcbrew.transports.base import Transport


def choose(transport: Transport, cluster: Cluster, for_gpus: bool | None, report: Report) -> str:
    """Returns the extra to install, and reports why. `for_gpus`: yes or no, if the user says so; None to find out.

    A profile only knows about GPUs what its author knew; `pbsnodes` knows each node. If it cannot be asked, the profile
    decides.
    """
    if for_gpus is not None:
        return GPUS if for_gpus else CPUS
    if not cluster.gpus_per_node:
        report("the profile lists no GPUs (gpus_per_node): installing the engine for CPUs, without CUDA")
        return CPUS
    counted_as = cluster.resources.counts[1]
    if not counted_as:
        report("installing it for GPUs, since the profile lists them; PBS does not count them there (gpus_as: none)")
        return GPUS
    try:
        nodes = pbs_site.parse_nodes(transport.run(pbs_site.NODES, PurePosixPath("/"), idempotent=True), counted_as)
    except HpcbrewError as error:
        fault = str(error).splitlines()[0]
        report(f"installing it for GPUs, since the profile lists them; the nodes could not be queried ({fault})")
        return GPUS
    gpu_nodes = sum(node.gpus > 0 for node in nodes)
    if gpu_nodes:
        report(f"{gpu_nodes} of {len(nodes)} nodes have GPUs: installing the engine for them")
        return GPUS
    report(
        f"none of the {len(nodes)} nodes has a GPU (pbsnodes -a): installing the engine for CPUs, without CUDA; "
        "hpcbrew setup --gpu installs it for GPUs"
    )
    return CPUS
