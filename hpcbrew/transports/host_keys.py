"""Verifies a host's identity: its key against those in known_hosts files, or by the user's confirmation."""

import base64
import hashlib
from collections.abc import Callable

import paramiko

from engine.host.append import append
from hpcbrew.errors import HostUnknown, TransportError
from hpcbrew.transports import known_hosts, ssh_config
from hpcbrew.transports.client_only import ClientOnly
from hpcbrew.transports.known_hosts import KnownHost, Verdict
from hpcbrew.transports.prompt import Prompter
from hpcbrew.transports.ssh_config import SshHost


def fingerprint(key: paramiko.PKey) -> str:
    """Returns the fingerprint as ssh-keygen prints it: `SHA256:` and the digest in base64 without padding."""
    return _digest(key.asbytes())


def _digest(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class HostKeys(paramiko.MissingHostKeyPolicy):
    """Judges the key that a host offers, as ssh would. A new key is treated as StrictHostKeyChecking says, and recorded
    if it is accepted; `say` is called if it cannot be recorded.

    Raises HostUnknown for a key that was not accepted, TransportError for one that has changed or is revoked, and
    ClientOnly where ssh may decide otherwise: by a certificate, or because it was told to accept any key.
    """

    def __init__(self, host: SshHost, prompter: Prompter, say: Callable[[str], object]) -> None:
        self.host = host
        self.prompter = prompter
        self.say = say
        self.known_host: KnownHost = known_hosts.search(host)

    def preferred(self, kinds: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the key types in the order in which to ask the host for them: known ones first."""
        known_kinds = [k for kind in self.known_host.kinds for k in _SIGNATURES.get(kind, (kind,)) if k in kinds]
        return (*known_kinds, *(kind for kind in kinds if kind not in known_kinds))

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Is called for every key, since paramiko itself is given no known keys."""
        verdict = self.known_host.judge(key.asbytes())
        if verdict is Verdict.KNOWN:
            return
        if verdict is not Verdict.REVOKED and self.known_host.authorities:
            raise ClientOnly("host certificates (@cert-authority)")
        if verdict is not Verdict.NEW:
            if self.host.any_key:
                raise ClientOnly("StrictHostKeyChecking no, and the host key is not the known one")
            raise _alarm(self.host, verdict, key, self.known_host)
        new_fingerprint = fingerprint(key)
        accepted = self.host.new_keys == "accept" or (
            self.host.new_keys == "ask"
            and self.prompter.confirm_host_key(self.host.known_as, key.get_name(), new_fingerprint)
        )
        if not accepted:
            raise HostUnknown(
                f"{self.host.known_as}: its host key is not known here: {key.get_name()} {new_fingerprint}",
                new_fingerprint,
                f"Compare it with the one that the site publishes, then log in once with "
                f"`{ssh_config.typed(self.host.alias)}`, or run hpcbrew setup CLUSTER",
            )
        _remember(self.host, key, self.say)


_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
"""The signature algorithms of a key type, where they differ from its name."""


def _alarm(host: SshHost, verdict: Verdict, key: paramiko.PKey, known_host: KnownHost) -> TransportError:
    address, offered_key = f"{host.user}@{host.hostname}:{host.port}", f"{key.get_name()} {fingerprint(key)}"
    if verdict is Verdict.REVOKED:
        return TransportError(
            f"{address}: its host key {offered_key} is marked @revoked in a known_hosts file and must not be trusted. "
            "Ask the site for its new key"
        )
    known_keys = ", ".join(f"{k.kind} {_digest(k.blob)}" for k in known_host.keys if not k.marker)
    return TransportError(
        f"{address}: the host key has CHANGED. Known: {known_keys}; offered: {offered_key}. Someone may be "
        f"listening in. If the site confirms that it has new keys: ssh-keygen -R {host.known_as!r}, then try again"
    )


def _remember(host: SshHost, key: paramiko.PKey, say: Callable[[str], object]) -> None:
    """Appends a line to the user's first known_hosts file."""
    if not host.known_hosts:
        return
    path = host.known_hosts[0]
    name = paramiko.HostKeys.hash_host(host.known_as) if host.hash_known_hosts else host.known_as
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # as /dev/null
            return
        append(path, f"{name} {key.get_name()} {key.get_base64()}\n".encode())
    except OSError as error:
        say(f"{host.known_as}: its key was accepted, but cannot be recorded in {path}: {error.strerror}")
