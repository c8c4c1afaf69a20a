"""Which engine a cluster gets: the one for GPUs brings some 3 GB of CUDA libraries along."""

from pathlib import PurePosixPath

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.engine_facts import CPUS, GPUS
from hpcbrew.errors import HpcbrewError
from hpcbrew.schedulers import pbs_site
from hpcbrew.setup.report import Report
from hpcbrew.transports.base import Transport


def choose(transport: Transport, cluster: Cluster, wanted: bool | None, report: Report) -> str:
    """The extra to install; reports why. `wanted`: for GPUs or not, as the user says; None where the site is to tell.

    A profile knows of GPUs what its author knew; `pbsnodes` knows of each node. Where it cannot be asked, the profile
    counts.
    """
    if wanted is not None:
        return GPUS if wanted else CPUS
    if not cluster.gpus_per_node:
        report("the profile knows of no GPUs (gpus_per_node): it is installed for CPUs, without CUDA")
        return CPUS
    counted_as = cluster.resources.counts[1]
    if not counted_as:
        report("it is installed for GPUs, as the profile has them; PBS does not count them there (gpus_as: none)")
        return GPUS
    try:
        nodes = pbs_site.parse_nodes(transport.run(pbs_site.NODES, PurePosixPath("/"), idempotent=True), counted_as)
    except HpcbrewError as error:
        said = str(error).splitlines()[0]
        report(f"it is installed for GPUs, as the profile has them; the nodes cannot be asked ({said})")
        return GPUS
    having = sum(node.gpus > 0 for node in nodes)
    if having:
        report(f"{having} of {len(nodes)} nodes have GPUs: it is installed for them")
        return GPUS
    report(
        f"none of the {len(nodes)} nodes has a GPU (pbsnodes -a): it is installed for CPUs, without CUDA; "
        "hpcbrew setup --gpu installs it for GPUs"
    )
    return CPUS
