"""Whether a host is the one that it says it is: its key beside those of known_hosts files, and the person's word."""

import base64
import contextlib
import hashlib
import os

import paramiko

from hpcbrew.errors import HostUnknown, TransportError
from hpcbrew.transports.prompt import Prompter
from hpcbrew.transports.ssh_config import SshHost


def fingerprint(key: paramiko.PKey) -> str:
    """As ssh-keygen prints it: `SHA256:` and the digest in base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def check(client: paramiko.SSHClient, host: SshHost, prompter: Prompter) -> None:
    """Has `client` check the host's key when it connects. It then raises HostUnknown for one that was not taken, and
    paramiko.BadHostKeyException for one that changed: see `changed`."""
    for path in host.known_hosts:
        with contextlib.suppress(OSError):  # a file that is not there knows no hosts
            client.load_system_host_keys(str(path))
    client.set_missing_host_key_policy(_NewKey(host, prompter))


def changed(where: str, host: SshHost, error: paramiko.BadHostKeyException) -> TransportError:
    """What to say of a host whose key is not the known one."""
    known, offered = (f"{key.get_name()} {fingerprint(key)}" for key in (error.expected_key, error.key))
    return TransportError(
        f"{where}: the host key has CHANGED. Known: {known}; offered: {offered}. Someone may be listening in. If the "
        f"site says that it has new keys: ssh-keygen -R {host.known_as!r}, then try again"
    )


class _NewKey(paramiko.MissingHostKeyPolicy):
    """A host that no known_hosts file has: as StrictHostKeyChecking says, and its key is written down if taken."""

    def __init__(self, host: SshHost, prompter: Prompter) -> None:
        self.host = host
        self.prompter = prompter

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        shown = fingerprint(key)
        taken = self.host.new_keys == "accept" or (
            self.host.new_keys == "ask" and self.prompter.confirm_host_key(self.host.known_as, key.get_name(), shown)
        )
        if not taken:
            raise HostUnknown(
                f"{self.host.known_as}: its host key is not known here: {key.get_name()} {shown}",
                shown,
                f"Compare it with what the site publishes, then log in once with `ssh {self.host.alias}`, "
                "or run hpcbrew setup CLUSTER",
            )
        if self.host.known_hosts:
            _remember(self.host, key)


def _remember(host: SshHost, key: paramiko.PKey) -> None:
    """One line more in the user's first known_hosts file, which else stays as it is."""
    path = host.known_hosts[0]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = paramiko.HostKeys.hash_host(host.known_as) if host.hash_known_hosts else host.known_as
    with path.open("a+b") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            joined = b"" if file.read(1) == b"\n" else b"\n"
        else:
            joined = b""
        file.write(joined + f"{name} {key.get_name()} {key.get_base64()}\n".encode())
