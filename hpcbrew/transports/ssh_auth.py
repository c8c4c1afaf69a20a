"""Logging in: the way to a host through its jumps, and as many factors as it asks for."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
from paramiko.auth_strategy import AuthResult, AuthSource, AuthStrategy

from hpcbrew.errors import LoginRefused, TransportError
from hpcbrew.transports import host_keys, ssh_config
from hpcbrew.transports.prompt import Prompter
from hpcbrew.transports.ssh_config import SshHost

KEEP_ALIVE, DEAD_AFTER = 30, 60  # seconds: between two signs of life, and until one that is not confirmed ends the line


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
    try:
        _log_in(client, host, through, prompter)
    except BaseException:
        client.close()
        raise
    return client


def _log_in(client: paramiko.SSHClient, host: SshHost, through: paramiko.SSHClient | None, prompter: Prompter) -> None:
    host_keys.check(client, host, prompter)
    where = f"{host.user}@{host.hostname}:{host.port}"
    try:
        client.connect(
            host.host_key_alias or host.hostname,
            port=22 if host.host_key_alias else host.port,
            username=host.user,
            sock=_socket(host, through),
            timeout=host.connect_timeout,
            banner_timeout=host.connect_timeout,
            auth_timeout=120,
            auth_strategy=_Factors(host, prompter),
        )
    except paramiko.BadHostKeyException as error:
        raise host_keys.changed(where, host, error) from None
    except paramiko.AuthenticationException as error:
        raise LoginRefused(
            f"{where}: the login was refused: {error}",
            frozenset(error.offered if isinstance(error, _NoWayIn) else ()),
            f"`ssh {host.alias}` shows more; hpcbrew setup CLUSTER installs a key",
        ) from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        said = str(error) or type(error).__name__
        raise TransportError(f"{where}: no connection: {said}", retryable=True) from None
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(KEEP_ALIVE)


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
