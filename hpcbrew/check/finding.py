"""What a check found, and what there is to check."""

from dataclasses import dataclass
from enum import StrEnum

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.transports.base import Transport


class Mark(StrEnum):
    """Sound; worth knowing; must be put right before jobs can run."""

    OK = "✓"
    WARN = "!"
    BAD = "✗"


@dataclass(frozen=True)
class Finding:
    """One line of the table. `remedy` says what to do, where there is something."""

    what: str
    mark: Mark
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Checked:
    """The cluster as its profile has it, and the way there."""

    cluster: Cluster
    transport: Transport
