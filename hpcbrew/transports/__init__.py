"""Transports: run a command on a cluster, move files to and from it. They know nothing of jobs."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from hpcbrew.address import Address
from hpcbrew.answer import Answer
from hpcbrew.errors import RequestError
from hpcbrew.transports.local import Local


class Transport(Protocol):
    """All paths are absolute. Each method raises TransportError for what it could not do, but not for a command that
    ran and failed: that is an Answer."""

    def root(self, pattern: str) -> PurePosixPath:
        """The folder that a profile's `scratch` stands for."""

    def run(self, command: Sequence[str], folder: PurePosixPath) -> Answer:
        """Runs a command in a folder, with no input."""

    def make_folder(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        """Makes a folder that holds these files, named relative to it: all of them or none."""

    def remove_folder(self, folder: PurePosixPath) -> None:
        """Takes away a folder that `make_folder` made."""

    def read(self, path: PurePosixPath, start: int = 0) -> bytes | None:
        """What a file holds from byte `start` on; None where there is no such file."""

    def read_all(self, paths: Sequence[PurePosixPath]) -> list[bytes | None]:
        """What several small files hold, in one round trip."""

    def names(self, folder: PurePosixPath) -> list[str]:
        """The names in a folder; none where there is no such folder."""


def connect(address: Address) -> Transport:
    """The transport to a cluster, connected."""
    if address.transport == "local":
        return Local()
    raise RequestError(f"{address.cluster}: transport {address.transport!r} is not there yet; see --dry-run")
