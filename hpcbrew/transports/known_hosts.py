"""Looks up a host in known_hosts files by `ssh-keygen -F`, which reads them as ssh does, and judges keys as ssh
does."""

import base64
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hpcbrew.errors import TransportError
from hpcbrew.transports.ssh_config import SshHost

AUTHORITY, REVOKED = "@cert-authority", "@revoked"

READING = 20
"""Seconds allowed for reading one file."""


class Verdict(Enum):
    """How a host's key compares with the known ones."""

    KNOWN = "known"
    NEW = "new"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class KnownKey:
    """One line that applies to a host: `marker` is @cert-authority, @revoked or empty; `blob` is the key itself."""

    marker: str
    kind: str
    blob: bytes


def search(host: SshHost) -> "KnownHost":
    """Searches the host's known_hosts files for it. Raises TransportError if that is not possible."""
    files = [path for path in (*host.known_hosts, *host.global_known_hosts) if path.exists()]
    names = [host.known_as]
    if names[0].startswith("["):  # a key known without the port counts too
        names.append(host.hostname)
    keys = [tuple(key for path in files for key in parse(_lines(name, path))) for name in names]
    return KnownHost(keys[0], keys[1] if keys[1:] else ())


@dataclass(frozen=True)
class KnownHost:
    """The known keys of a host, and those of the same host name without the port."""

    keys: tuple[KnownKey, ...] = ()
    without_port: tuple[KnownKey, ...] = ()

    def judge(self, blob: bytes) -> Verdict:
        """Judges a plain key (not a certificate) that the host offers, as ssh would."""
        verdict = _judge(self.keys, blob)
        if verdict is Verdict.NEW and _judge(self.without_port, blob) is Verdict.KNOWN:
            return Verdict.KNOWN
        return verdict

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of the known plain keys, such as `ssh-ed25519`: the host is asked for one of these first."""
        keys = [key for key in self.keys if not key.marker] or self.without_port
        return tuple(dict.fromkeys(key.kind for key in keys if not key.marker))

    @property
    def authorities(self) -> bool:
        """Whether a certificate would be accepted in place of a key."""
        return any(key.marker == AUTHORITY for key in (*self.keys, *self.without_port))


def _judge(keys: Iterable[KnownKey], blob: bytes) -> Verdict:
    if any(key.marker == REVOKED and key.blob == blob for key in keys):
        return Verdict.REVOKED
    unmarked_blobs = [key.blob for key in keys if not key.marker]
    if blob in unmarked_blobs:
        return Verdict.KNOWN
    return Verdict.CHANGED if unmarked_blobs else Verdict.NEW


def parse(lines: str) -> Iterator[KnownKey]:
    """Yields the keys in the lines that ssh-keygen has found. Skips its comments, and lines that are cut or
    malformed."""
    for line in lines.splitlines():
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if line.startswith("#") or len(words) < 3:
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except ValueError:  # cut short, or not base64
            continue
        if _whole(words[1], blob) and marker in ("", AUTHORITY, REVOKED):
            yield KnownKey(marker, words[1], blob)


def _whole(kind: str, blob: bytes) -> bool:
    """Whether a key has all its parts. These are length-prefixed strings, the first of which names the key type."""
    parts = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        parts.append(blob[4 : 4 + size])
        if len(parts[-1]) < size or len(blob) < 4:
            return False
        blob = blob[4 + size :]
    return len(parts) >= _PARTS.get(kind, 2) and parts[0] == kind.encode()


_PARTS = {"ssh-rsa": 3, "ssh-dss": 5}
"""The number of parts of keys with more than two. Counting matters since a line may be cut where a part ends."""


def _lines(name: str, path: Path) -> str:
    command = ["ssh-keygen", "-F", name, "-f", str(path)]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=READING)
    except FileNotFoundError:
        raise TransportError(
            "`ssh-keygen`, which comes with the OpenSSH client, is not installed; it is needed to read known_hosts"
        ) from None
    except subprocess.TimeoutExpired:
        raise TransportError(f"{path}: could not be read within {READING} s; it should be a known_hosts file") from None
    return result.stdout.decode(errors="replace")
