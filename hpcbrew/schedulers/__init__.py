"""Schedulers: which commands to run, and what their answers mean. Nothing is run here."""

from hpcbrew.address import Address
from hpcbrew.schedulers import local
from hpcbrew.schedulers.pbs import Pbs


def of(address: Address) -> Pbs:
    """Returns the scheduler of a cluster."""
    return local.scheduler(address.slots) if address.scheduler == "local" else Pbs(torque=address.torque)
