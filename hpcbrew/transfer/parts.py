"""Data on their way to scratch: what their folder is called meanwhile, and what becomes of one that is abandoned."""

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
"""Without a change, after which a part is taken for abandoned."""

CLEARING = 600.0
"""Seconds of silence while they are taken away."""

# $1: days; the others: names that are kept. The second form is what a folder has that is being made, as a part is.
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
    """What data of this digest are called while they are sent from this machine. Raises TransportError."""
    host = re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname())[:40]
    return f"{digest}.{host}-{_machine()}{SUFFIX}"


def sweep(transport: Transport, folder: PurePosixPath, kept: list[str]) -> None:
    """Takes away the parts in a folder of data, of this machine and others, that have not changed for `DAYS`; not those
    which are about to be gone on with. What cannot be taken away stays. Raises TransportError."""
    command = ["bash", "-c", SWEEP, "bash", str(DAYS), *kept]
    transport.run(command, folder, idempotent=True, idle_timeout=CLEARING)


def _machine() -> str:
    """Eight digits that tell this machine from another of its name, and from one that has a copy of its files."""
    path = paths.data_home() / "machine"
    with exclusive("machine"):
        try:
            if not (path.exists() and path.read_bytes().strip()):
                path.write_text(f"{secrets.token_hex(16)}\n")
            own = path.read_bytes()
        except OSError as error:
            words = f"{error.strerror}{full_disk.remedy(error.strerror, full_disk.LOCAL)}"
            raise TransportError(f"{path}: cannot be written: {words}") from None
    system = Path("/etc/machine-id")
    return hashlib.sha256(own + (system.read_bytes() if system.is_file() else b"")).hexdigest()[:8]
