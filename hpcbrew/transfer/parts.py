"""Incomplete uploads on scratch: the names of their folders, and the removal of abandoned ones."""

import hashlib
import re
import secrets
import socket
from pathlib import Path, PurePosixPath

from hpcbrew import full_disk, paths
from hpcbrew.errors import TransportError
from hpcbrew.file_lock import exclusive
from hpcbrew.transports.base import Transport

SUFFIX = ".part"

DAYS = 14
"""Days without a change after which a part counts as abandoned."""

CLEARING = 600.0
"""Seconds of silence allowed while parts are removed."""

# $1: days; the others: names to keep. The second pattern matches folders that are just being made for a part.
SWEEP = r"""
days=$1
shift
find . -mindepth 1 -maxdepth 1 -type d \( -name '*.part' -o -name '.*.part.*' \) -print0 |
    while IFS= read -r -d '' part; do
        for kept in "$@"; do [ "$part" != "./$kept" ] || continue 2; done
        [ -n "$(find "$part" -mtime "-$days" -print -quit)" ] || rm -rf -- "$part"
    done
"""


def name(digest: str) -> str:
    """Returns the name of data with this digest while they are sent from this machine. Raises TransportError."""
    host = re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname())[:40]
    return f"{digest}.{host}-{_machine()}{SUFFIX}"


def sweep(transport: Transport, folder: PurePosixPath, parts_in_use: list[str]) -> None:
    """Removes the parts in a data folder, of this machine and others, that have not changed for `DAYS`, except those in
    `parts_in_use`, which are about to be continued. What cannot be removed stays. Raises TransportError."""
    command = ["bash", "-c", SWEEP, "bash", str(DAYS), *parts_in_use]
    transport.run(command, folder, idempotent=True, idle_timeout=CLEARING)


def _machine() -> str:
    """Returns eight digits that distinguish this machine from others of the same name, or with a copy of its files."""
    path = paths.data_home() / "machine"
    with exclusive("machine"):
        try:
            if not (path.exists() and path.read_bytes().strip()):
                path.write_text(f"{secrets.token_hex(16)}\n")
            identity = path.read_bytes()
        except OSError as error:
            words = f"{error.strerror}{full_disk.remedy(error.strerror, full_disk.LOCAL)}"
            raise TransportError(f"{path}: cannot be written: {words}") from None
    system = Path("/etc/machine-id")
    return hashlib.sha256(identity + (system.read_bytes() if system.is_file() else b"")).hexdigest()[:8]
