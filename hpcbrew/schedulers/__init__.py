"""Schedulers: what command to run, and what its answer means. Nothing here runs anything."""

from hpcbrew.cluster import Cluster
from hpcbrew.schedulers import local
from hpcbrew.schedulers.pbs import Pbs


def of(cluster: Cluster) -> Pbs:
    """The scheduler that a cluster's profile names."""
    if cluster.scheduler == "local":
        return local.scheduler(cluster.slots)
    return Pbs(torque=cluster.resources.style == "nodes")
