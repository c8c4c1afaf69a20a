"""How to get at a cluster again: the little of its profile that a job in the ledger keeps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """Kept with each job, so that it is found where it was sent though the profile has changed since, and so that
    `hpcbrew status` need not read profiles. `host` is whatever `ssh` takes; `slots` are those of the local queue.
    """

    cluster: str
    transport: str
    scheduler: str
    host: str | None = None
    torque: bool = False
    slots: int = 1
