"""How to reach a cluster again: the few values of its profile that the ledger keeps with each job."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """Kept with each job, so that the job is found where it was sent even if the profile has changed since, and so that
    `hpcbrew status` need not read profiles. `host` is anything that `ssh` accepts; `slots` are those of the local
    queue.
    """

    cluster: str
    transport: str
    scheduler: str
    host: str | None = None
    torque: bool = False
    slots: int = 1
