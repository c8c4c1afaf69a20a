"""Schedulers: what command to run, and what its answer means. Nothing here runs anything."""

from hpcbrew.address import Address
from hpcbrew.schedulers import local
from hpcbrew.schedulers.pbs import Pbs


def of(address: Address) -> Pbs:
    """The scheduler of a cluster."""
    return local.scheduler(address.slots) if address.scheduler == "local" else Pbs(torque=address.torque)
