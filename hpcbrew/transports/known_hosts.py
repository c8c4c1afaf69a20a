"""What known_hosts files say of a host: found by `ssh-keygen -F`, which reads them as ssh does, and judged likewise."""

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
"""Seconds for the reading of one file."""


class Verdict(Enum):
    """What a host's key is, beside those that are known."""

    KNOWN = "known"
    NEW = "new"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class KnownKey:
    """One line that holds for a host: `marker` is @cert-authority, @revoked or nothing, `blob` the key itself."""

    marker: str
    kind: str
    blob: bytes


def search(host: SshHost) -> "KnownHost":
    """All that the host's known_hosts files have for it. Raises TransportError where they cannot be searched."""
    files = [path for path in (*host.known_hosts, *host.global_known_hosts) if path.exists()]
    names = [host.known_as]
    if names[0].startswith("["):  # a key known without the port is taken too
        names.append(host.hostname)
    found = [tuple(key for path in files for key in parse(_lines(name, path))) for name in names]
    return KnownHost(found[0], found[1] if found[1:] else ())


@dataclass(frozen=True)
class KnownHost:
    """What is known of a host, and of the one of the same name at the usual port."""

    keys: tuple[KnownKey, ...] = ()
    without_port: tuple[KnownKey, ...] = ()

    def judge(self, blob: bytes) -> Verdict:
        """What ssh makes of a key that the host shows, a plain one."""
        verdict = _judge(self.keys, blob)
        if verdict is Verdict.NEW and _judge(self.without_port, blob) is Verdict.KNOWN:
            return Verdict.KNOWN
        return verdict

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of plain keys that are known, as `ssh-ed25519`: the host is asked for one of these first."""
        keys = [key for key in self.keys if not key.marker] or self.without_port
        return tuple(dict.fromkeys(key.kind for key in keys if not key.marker))

    @property
    def authorities(self) -> bool:
        """Whether a certificate would do in place of a key."""
        return any(key.marker == AUTHORITY for key in (*self.keys, *self.without_port))


def _judge(keys: Iterable[KnownKey], blob: bytes) -> Verdict:
    if any(key.marker == REVOKED and key.blob == blob for key in keys):
        return Verdict.REVOKED
    plain = [key.blob for key in keys if not key.marker]
    if blob in plain:
        return Verdict.KNOWN
    return Verdict.CHANGED if plain else Verdict.NEW


def parse(lines: str) -> Iterator[KnownKey]:
    """The keys of lines that ssh-keygen has found; it comments them, and some may be cut or of no known form."""
    for line in lines.splitlines():
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if line.startswith("#") or len(words) < 3:
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except ValueError:  # cut short, or of letters that are none of it
            continue
        if _whole(words[1], blob) and marker in ("", AUTHORITY, REVOKED):
            yield KnownKey(marker, words[1], blob)


def _whole(kind: str, blob: bytes) -> bool:
    """Whether a key has all its parts, strings with their lengths before them, of which the first names its kind."""
    parts = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        parts.append(blob[4 : 4 + size])
        if len(parts[-1]) < size or len(blob) < 4:
            return False
        blob = blob[4 + size :]
    return len(parts) >= _PARTS.get(kind, 2) and parts[0] == kind.encode()


_PARTS = {"ssh-rsa": 3, "ssh-dss": 5}
"""Of keys that have more than their kind and one number; a line may be cut where a part ends."""


def _lines(name: str, path: Path) -> str:
    command = ["ssh-keygen", "-F", name, "-f", str(path)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=READING)
    except FileNotFoundError:
        raise TransportError(
            "`ssh-keygen` is not installed, which comes with the OpenSSH client; it reads known_hosts files"
        ) from None
    except subprocess.TimeoutExpired:
        raise TransportError(f"{path}: cannot be read within {READING} s; a known_hosts file is wanted there") from None
    return done.stdout.decode(errors="replace")
