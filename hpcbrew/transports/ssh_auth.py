"""Logs in to a host: through its jump hosts, and with as many factors as it asks for."""

import socket
from collections.abc import Callable, Iterator

import click
import paramiko
from paramiko.auth_strategy import AuthResult, AuthSource, AuthStrategy
from paramiko.ssh_exception import IncompatiblePeer

from engine.printable import printable
from hpcbrew.errors import HpcbrewError, LoginRefused, TransportError
from hpcbrew.transports import client_only, ssh_config, ssh_line, tcp_line
from hpcbrew.transports.client_only import ClientOnly
from hpcbrew.transports.host_keys import HostKeys
from hpcbrew.transports.identities import Identities
from hpcbrew.transports.prompt import Prompter
from hpcbrew.transports.ssh_config import SshHost

KEEP_ALIVE, DEAD_AFTER = 30, 60  # seconds between two keep-alives, and until an unacknowledged one ends the connection

UNFINISHED = "No existing session"
"""What paramiko says if there is no connection yet when its time is up."""

HOPS = 8
"""The most hosts on the way: more mean that the configuration is circular."""


def connect(
    destination: str,
    resolve: Callable[[str], SshHost],
    prompter: Prompter,
    say: Callable[[str], object] = lambda words: None,
) -> list[paramiko.SSHClient]:
    """Returns connections to each jump host and, last, to the host itself. `resolve` is `ssh -G`; `say` is called for
    problems that are not fatal.

    Raises TransportError, `retryable` if the connection failed and not the login, and ClientOnly if ssh itself can do
    what this cannot.
    """
    way = route(destination, resolve)
    for hop in way:
        client_only.check(hop)
    clients: list[paramiko.SSHClient] = []
    try:
        for hop in way:
            clients.append(_connect_one(hop, clients[-1] if clients else None, prompter, say))
    except BaseException:
        close(clients)
        raise
    return clients


def route(destination: str, resolve: Callable[[str], SshHost]) -> list[SshHost]:
    """Returns the hosts on the way, including the destination. As in ssh, the first of several jump hosts may have jump
    hosts of its own.

    Raises TransportError if they are circular.
    """
    way = [resolve(destination)]
    while way[0].jumps:
        way = [*map(resolve, way[0].jumps), *way]
        if len(way) > HOPS:
            raise TransportError(f"{destination}: its ProxyJump goes through more than {HOPS} hosts, or is circular")
    return way


def close(clients: list[paramiko.SSHClient]) -> None:
    """Closes the connections from the innermost to the outermost."""
    for client in reversed(clients):
        client.close()


def _connect_one(
    host: SshHost, jump: paramiko.SSHClient | None, prompter: Prompter, say: Callable[[str], object]
) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    try:
        _log_in(client, host, jump, HostKeys(host, prompter, say), _Factors(host, prompter))
    except BaseException:
        client.close()
        raise
    return client


def _log_in(
    client: paramiko.SSHClient,
    host: SshHost,
    jump: paramiko.SSHClient | None,
    keys: HostKeys,
    factors: "_Factors",
) -> None:
    client.set_missing_host_key_policy(keys)
    address = f"{host.user}@{host.hostname}:{host.port}"
    try:
        line = ssh_line.Bounded(_socket(host, jump))
        client.connect(
            host.hostname,
            username=host.user,
            sock=line,  # type: ignore[arg-type]
            timeout=host.connect_timeout,
            banner_timeout=host.connect_timeout,
            auth_timeout=120,
            auth_strategy=factors,
            transport_factory=lambda *_, **__: ssh_line.transport(line, keys.preferred),
        )
        line.logged_in()
    except paramiko.AuthenticationException as error:
        raise _refused(address, host, factors, error) from None
    except IncompatiblePeer as error:
        raise ClientOnly(f"{address}: {error}") from None
    except (HpcbrewError, click.Abort):
        raise
    except Exception as error:  # a garbled answer may make paramiko raise anything
        reason = printable(str(error)) or type(error).__name__
        if isinstance(error, EOFError):
            reason = "the other side closed it before the login was complete"
        elif reason == UNFINISHED:
            reason = f"the server did not complete its handshake within {host.connect_timeout:.0f} s"
        raise TransportError(f"{address}: no connection: {reason}", retryable=True) from None
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(KEEP_ALIVE)


def _refused(
    address: str, host: SshHost, factors: "_Factors", error: paramiko.AuthenticationException
) -> TransportError:
    """Returns the error for a failed login, with advice; ClientOnly if ssh has further methods to try."""
    methods = frozenset(error.methods if isinstance(error, _NoWayIn) else ())
    further = [way for way in host.other_methods if way in methods] or factors.keys.unread
    if further:
        return ClientOnly(", ".join(further))
    locked_files = [str(path) for path in factors.keys.locked_files]
    advice = f"`{ssh_config.typed(host.alias)}` shows more; hpcbrew setup CLUSTER installs a key"
    if locked_files:
        advice = (
            f"Not tried, since locked by a passphrase: {', '.join(locked_files)}. To unlock: ssh-add {locked_files[0]}"
        )
    return LoginRefused(f"{address}: the login was refused: {printable(str(error))}", methods, advice)


def _socket(host: SshHost, jump: paramiko.SSHClient | None) -> ssh_line.Socket:
    if jump is not None:
        transport = jump.get_transport()
        assert transport is not None
        return transport.open_channel(
            "direct-tcpip", (host.hostname, host.port), ("127.0.0.1", 0), timeout=host.connect_timeout
        )
    if host.proxy_command:
        return ssh_line.Proxy(ssh_config.proxy_words(host))
    address = f"{host.user}@{host.hostname}:{host.port}"
    sock = tcp_line.connected(host.hostname, host.port, host.reach_timeout, address)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # give up a dead connection
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)
    return sock


class _NoWayIn(paramiko.AuthenticationException):
    """All methods that the server accepts were tried, as far as the user has them."""

    def __init__(self, methods: list[str]) -> None:
        super().__init__(f"it accepts {', '.join(sorted(methods))}, but none of these worked")
        self.methods = methods


class _Factors(AuthStrategy):
    """Key, password and one-time code, in the order in which the server asks; it may require several of them."""

    def __init__(self, host: SshHost, prompter: Prompter) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self.host = host
        self.prompter = prompter
        self.keys = Identities(host, prompter)

    def get_sources(self) -> Iterator[AuthSource]:
        return iter(())

    def authenticate(self, transport: paramiko.Transport) -> AuthResult:
        attempts = {"publickey": self._keys, "keyboard-interactive": self._interactive, "password": self._password}
        methods = self._allowed(transport)
        untried = [method for method in self.host.methods if method in attempts]
        while methods:
            method = next((method for method in untried if method in methods), None)
            if method is None:
                raise _NoWayIn(methods)
            untried.remove(method)
            next_methods = attempts[method](transport)
            methods = methods if next_methods is None else next_methods
        return AuthResult(strategy=self)

    def _allowed(self, transport: paramiko.Transport) -> list[str]:
        try:
            transport.auth_none(self.host.user)
        except paramiko.BadAuthenticationType as error:
            return list(error.allowed_types)
        return []

    def _keys(self, transport: paramiko.Transport) -> list[str] | None:
        """Returns the methods still required after a key was accepted; None if no key was."""
        for number, key in enumerate(self.keys, 1):
            try:
                return list(transport.auth_publickey(self.host.user, key))
            except paramiko.AuthenticationException:
                if not transport.is_active():
                    raise paramiko.AuthenticationException(
                        f"the server hung up at key {number}: it may allow no more tries. Name the right key by "
                        "IdentityFile and `IdentitiesOnly yes` in ~/.ssh/config"
                    ) from None
        return None

    def _interactive(self, transport: paramiko.Transport) -> list[str] | None:
        def handler(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            lead = " ".join(part for part in (f"({self.host.user}@{self.host.hostname})", title, instructions) if part)
            answers = [self.prompter.answer(f"{lead} {text}".strip() + " ", secret=not echo) for text, echo in prompts]
            texts = [answer for answer in answers if answer is not None]
            if len(texts) < len(answers):  # an empty answer would count as a failed login, and some sites lock accounts
                raise paramiko.AuthenticationException("there is nobody to ask")
            return texts

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
