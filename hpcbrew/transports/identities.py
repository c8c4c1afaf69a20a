"""The user's keys, in the order in which ssh offers them: first those held by an agent, then those in files."""

import base64
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH

from engine.host import regular_file
from hpcbrew.transports.prompt import Prompter
from hpcbrew.transports.ssh_config import SshHost

AGENT = 10.0
"""Seconds for an answer of the agent; longer (CONFIRMING) when a person may have to confirm the use of a key."""

CONFIRMING = 60.0

KEY = 2**20  # the most bytes of a key file

_MAGIC = b"openssh-key-v1\0"


class Identities:
    """Iterates over the keys to log in with. Notes why some could not be used, for the message if the login is refused.

    `locked_files`: those for which nobody gave a passphrase; `unread`: keys that paramiko cannot use, but ssh may.
    """

    def __init__(self, host: SshHost, prompter: Prompter) -> None:
        self._host = host
        self._prompter = prompter
        self.locked_files: list[Path] = []
        self.unread: list[str] = []

    def __iter__(self) -> Iterator[paramiko.PKey]:
        """Yields the keys. Raises AuthenticationException for a wrong passphrase."""
        public = {path: _public(path) for path in self._host.identities}
        blobs = [blob for blob in public.values() if blob]
        agent_keys = {key.asbytes(): key for key in self._agent()}
        named_keys = [agent_keys[blob] for blob in blobs if blob in agent_keys]
        other_keys = (
            [] if self._host.identities_only else [key for blob, key in agent_keys.items() if blob not in blobs]
        )
        yield from named_keys
        yield from other_keys
        files = [path for path in public if path.is_file() and public[path] not in agent_keys and path.suffix != ".pub"]
        locked = []
        for path in files:
            try:
                yield paramiko.PKey.from_path(path)
            except (paramiko.PasswordRequiredException, TypeError):  # TypeError: cryptography's
                locked.append(path)
            except Exception:  # a file that is not a key, or of a type that paramiko does not know
                self.unread += [str(path)] if public[path] else []
        for path in locked:
            if key := self._unlocked(path):
                yield key

    def _agent(self) -> list[AgentKey]:
        """Returns the agent's keys; none if there is no agent or it does not answer."""
        name = self._host.agent
        path = os.environ.get("SSH_AUTH_SOCK") if name == "SSH_AUTH_SOCK" else name
        if not path:
            return []
        try:
            return [key for key in _Agent(path).get_keys() if self._usable(key)]
        except Exception:  # anything that a misbehaving agent makes paramiko raise
            self.unread.append(f"agent {path}")
            return []

    def _usable(self, key: AgentKey) -> bool:
        """Whether paramiko can use the key. Certificates and hardware keys in an agent are left to ssh."""
        usable = getattr(key, "inner_key", None) is not None and not key.get_name().endswith("-cert-v01@openssh.com")
        self.unread += [] if usable else [f"{key.get_name()} in the agent"]
        return usable

    def _unlocked(self, path: Path) -> paramiko.PKey | None:
        passphrase = self._prompter.answer(f"Passphrase of {path}: ", secret=True)
        if passphrase is None:
            self.locked_files.append(path)
            return None
        try:
            return paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]  # cryptography wants bytes
        except (paramiko.SSHException, ValueError) as error:
            raise paramiko.AuthenticationException(f"the passphrase does not open {path}: {error}") from None


class _Agent(AgentSSH):
    """The agent behind a given socket; paramiko's own class only knows that of SSH_AUTH_SOCK."""

    def __init__(self, path: str) -> None:
        super().__init__()
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(AGENT)
        try:
            line.connect(path)
            self._connect(line)  # type: ignore[attr-defined]
        except BaseException:
            line.close()
            raise
        line.settimeout(CONFIRMING)


def _text(path: Path) -> str:
    """Reads a key file. Raises OSError if it is not a file or is too large for a key, and ValueError if it is not
    text."""
    return regular_file.read(path, KEY).decode()


def _public(path: Path) -> bytes | None:
    """Returns the public key that belongs to a file: from PATH.pub, from the file itself if it is a public key, or from
    the head of a private key, which is never encrypted."""
    for file in (path.with_name(f"{path.name}.pub"), path):
        with contextlib.suppress(OSError, IndexError, ValueError):
            return base64.b64decode(_text(file).split()[1], validate=True)
    with contextlib.suppress(OSError, IndexError, ValueError):
        body = "".join(line for line in _text(path).splitlines() if not line.startswith("-----"))
        message = paramiko.Message(base64.b64decode(body).removeprefix(_MAGIC))
        _cipher, _kdf, _options, count = (
            message.get_binary(),
            message.get_binary(),
            message.get_binary(),
            message.get_int(),
        )
        return message.get_binary() if count == 1 else None
    return None
