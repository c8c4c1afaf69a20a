"""Logging in: the way to a host through its jumps, its key checked, and as many factors as it asks for."""

import base64
import contextlib
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import paramiko
from paramiko.auth_strategy import AuthResult, AuthSource, AuthStrategy

from hpcbrew.errors import HostUnknown, LoginRefused, TransportError
from hpcbrew.transports import ssh_config
from hpcbrew.transports.ssh_config import SshHost

KEEP_ALIVE, DEAD_AFTER = 30, 60  # seconds: between two signs of life, and until one that is not confirmed ends the line


class Prompter(Protocol):
    """Who answers when the way in needs a person."""

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        """Whether this is the key of that host: shown as `ssh-ed25519` and `SHA256:…`."""

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        """What the user types; None where there is nobody to ask."""


class Unattended:
    """Nobody is there: keys and agents only, and no host that is not known."""

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        return False

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        return None


class Expected:
    """Takes the one host key whose fingerprint the user gave beforehand; all else is up to the person, if any."""

    def __init__(self, fingerprint: str, prompter: Prompter) -> None:
        self._fingerprint = fingerprint
        self._prompter = prompter

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        if fingerprint != self._fingerprint:
            raise TransportError(
                f"{host}: its {kind} key has the fingerprint {fingerprint}, and {self._fingerprint} was given. Unless "
                f"the one given is of a key of another kind, someone may be listening in: compare with what the site "
                f"publishes for {kind}"
            )
        return True

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        return self._prompter.answer(prompt, secret=secret)


def fingerprint(key: paramiko.PKey) -> str:
    """As ssh-keygen prints it: `SHA256:` and the digest in base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def connect(destination: str, resolve: Callable[[str], SshHost], prompter: Prompter) -> list[paramiko.SSHClient]:
    """Connections to each jump and, last, to the host itself. `resolve` is `ssh -G`.

    Raises TransportError; `retryable` where the line failed and not the login.
    """
    host = resolve(destination)
    clients: list[paramiko.SSHClient] = []
    try:
        for hop in [*map(resolve, host.jumps), host]:
            clients.append(_connect_one(hop, clients[-1] if clients else None, prompter))
    except BaseException:
        close(clients)
        raise
    return clients


def close(clients: list[paramiko.SSHClient]) -> None:
    """From the inside out."""
    for client in reversed(clients):
        client.close()


def _connect_one(host: SshHost, through: paramiko.SSHClient | None, prompter: Prompter) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    for path in host.known_hosts:
        with contextlib.suppress(OSError):  # a file that is not there knows no hosts
            client.load_system_host_keys(str(path))
    client.set_missing_host_key_policy(_NewKey(host, prompter))
    where = f"{host.user}@{host.hostname}:{host.port}"
    sock: socket.socket | paramiko.Channel | paramiko.ProxyCommand
    try:
        sock = _socket(host, through)
        client.connect(
            host.host_key_alias or host.hostname,
            port=22 if host.host_key_alias else host.port,
            username=host.user,
            sock=sock,
            timeout=host.connect_timeout,
            banner_timeout=host.connect_timeout,
            auth_timeout=120,
            auth_strategy=_Factors(host, prompter),
        )
    except paramiko.BadHostKeyException as error:
        client.close()
        raise TransportError(
            f"{where}: the host key has CHANGED. Known: {error.expected_key.get_name()} "
            f"{fingerprint(error.expected_key)}; offered: {error.key.get_name()} {fingerprint(error.key)}. Someone may "
            f"be listening in. If the site says that it has new keys: ssh-keygen -R {host.known_as!r}, then try again"
        ) from None
    except paramiko.AuthenticationException as error:
        client.close()
        raise LoginRefused(
            f"{where}: the login was refused: {error}",
            frozenset(error.offered if isinstance(error, _NoWayIn) else ()),
            f"`ssh {host.alias}` shows more; hpcbrew setup CLUSTER installs a key",
        ) from None
    except TransportError:
        client.close()
        raise
    except (OSError, EOFError, paramiko.SSHException) as error:
        client.close()
        said = str(error) or type(error).__name__
        raise TransportError(f"{where}: no connection: {said}", retryable=True) from None
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(KEEP_ALIVE)
    return client


def _socket(
    host: SshHost, through: paramiko.SSHClient | None
) -> socket.socket | paramiko.Channel | paramiko.ProxyCommand:
    if through is not None:
        transport = through.get_transport()
        assert transport is not None
        return transport.open_channel(
            "direct-tcpip", (host.hostname, host.port), ("127.0.0.1", 0), timeout=host.connect_timeout
        )
    if host.proxy_command:
        return paramiko.ProxyCommand(ssh_config.proxy_words(host))
    sock = socket.create_connection((host.hostname, host.port), timeout=host.connect_timeout)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # a line that went dead without a word is given up, not waited for
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)
    return sock


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


class _NoWayIn(paramiko.AuthenticationException):
    """All that the server takes was tried, as far as the user could offer it."""

    def __init__(self, offered: list[str]) -> None:
        super().__init__(f"it takes {', '.join(sorted(offered))}, and none of these worked")
        self.offered = offered


class _Factors(AuthStrategy):
    """Key, password and one-time code, in the order in which the server asks: each may be one of several."""

    def __init__(self, host: SshHost, prompter: Prompter) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self.host = host
        self.prompter = prompter

    def get_sources(self) -> Iterator[AuthSource]:
        return iter(())

    def authenticate(self, transport: paramiko.Transport) -> AuthResult:
        allowed = self._allowed(transport)
        tried: list[str] = []
        while allowed:
            for method, attempt in (
                ("publickey", self._keys),
                ("keyboard-interactive", self._interactive),
                ("password", self._password),
            ):
                if method in allowed and method not in tried:
                    tried.append(method)
                    further = attempt(transport)
                    if further is not None:
                        allowed = further
                        break
            else:
                raise _NoWayIn(allowed)
        return AuthResult(strategy=self)

    def _allowed(self, transport: paramiko.Transport) -> list[str]:
        try:
            transport.auth_none(self.host.user)
        except paramiko.BadAuthenticationType as error:
            return list(error.allowed_types)
        return []

    def _keys(self, transport: paramiko.Transport) -> list[str] | None:
        """What is still asked for after a key was taken; None where none was."""
        for key in self._candidates():
            with contextlib.suppress(paramiko.AuthenticationException):
                return list(transport.auth_publickey(self.host.user, key))
        return None

    def _candidates(self) -> Iterator[paramiko.PKey]:
        files = [p for p in self.host.identities if p.is_file()]
        known = {_public(p) for p in files} - {None}
        for held in paramiko.Agent().get_keys():
            if not self.host.identities_only or held.get_base64() in known:
                yield held
        for path in files:
            key = self._load(path)
            if key is not None:
                yield key

    def _load(self, path: Path) -> paramiko.PKey | None:
        try:
            return paramiko.PKey.from_path(path)
        except (paramiko.PasswordRequiredException, TypeError):  # TypeError: what cryptography says of a locked key
            passphrase = self.prompter.answer(f"Passphrase of {path}: ", secret=True)
        except (paramiko.SSHException, ValueError, OSError):
            return None  # a kind of key that paramiko does not know, or a file that is none
        if passphrase is None:
            return None
        try:
            return paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]  # cryptography wants bytes
        except (paramiko.SSHException, ValueError) as error:
            raise paramiko.AuthenticationException(f"the passphrase does not open {path}: {error}") from None

    def _interactive(self, transport: paramiko.Transport) -> list[str] | None:
        def handler(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            lead = " ".join(part for part in (f"({self.host.user}@{self.host.hostname})", title, instructions) if part)
            answers = [self.prompter.answer(f"{lead} {text}".strip() + " ", secret=not echo) for text, echo in prompts]
            given = [answer for answer in answers if answer is not None]
            if len(given) < len(answers):  # an empty answer would count as a failed login, and some sites lock accounts
                raise paramiko.AuthenticationException("nobody is there to be asked")
            return given

        try:
            return list(transport.auth_interactive(self.host.user, handler))
        except paramiko.AuthenticationException:
            return None

    def _password(self, transport: paramiko.Transport) -> list[str] | None:
        password = self.prompter.answer(f"Password of {self.host.user}@{self.host.hostname}: ", secret=True)
        if password is None:
            return None
        try:
            return list(transport.auth_password(self.host.user, password, fallback=False))
        except paramiko.AuthenticationException:
            return None


def _public(path: Path) -> str | None:
    """The key in PATH.pub, in base64."""
    try:
        return path.with_name(path.name + ".pub").read_text().split()[1]
    except (OSError, IndexError, UnicodeDecodeError):
        return None
