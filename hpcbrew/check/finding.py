"""The result of a check, and what is checked."""

from dataclasses import dataclass
from enum import StrEnum

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.transports.base import Transport


class Mark(StrEnum):
    """OK; worth knowing; must be fixed before jobs can run."""

    OK = "✓"
    WARN = "!"
    BAD = "✗"


@dataclass(frozen=True)
class Finding:
    """One line of the table. `remedy` says what to do, if anything."""

    what: str
    mark: Mark
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Checked:
    """The cluster according to its profile, and the transport to it."""

    cluster: Cluster
    transport: Transport
