"""A cluster behind SSH, using paramiko: one connection, one channel per command."""

import logging
import os
import subprocess
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import paramiko

from engine.printable import printable
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError, Unanswered, Unreachable
from hpcbrew.transports import process, ssh_auth, ssh_config, waiting
from hpcbrew.transports.client_only import ClientOnly
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.process import CommandOutput
from hpcbrew.transports.prompt import NotifyingPrompter, Prompter
from hpcbrew.transports.remote_shell import RemoteShell
from hpcbrew.transports.sessions import NoSession
from hpcbrew.transports.ssh_config import SshHost

# What paramiko logs is raised as well; without a handler, Python would print it on the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def resolve(destination: str, config: Path | None = None) -> SshHost:
    """Returns what `ssh destination` would do; `config` replaces the user's configuration. Raises TransportError if ssh
    is not installed."""
    ssh, *rest = ssh_config.resolve_command(destination)
    command = [ssh, *(("-F", str(config)) if config else ()), *rest]
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=process.IDLE_TIMEOUT
        )
    except FileNotFoundError:
        raise TransportError(
            "the OpenSSH client `ssh` is not installed; it is needed to read your ssh configuration"
        ) from None
    except subprocess.TimeoutExpired:
        raise Unanswered("this machine", process.named(command), process.IDLE_TIMEOUT) from None
    answer = CommandResult(result.returncode, os.fsdecode(result.stdout), result.stderr.decode(errors="replace"))
    return ssh_config.parse(destination, answer)


class Ssh(RemoteShell):
    """Connects when first needed, and again after a cut. Several threads may use it at once.

    If the login needs something that paramiko lacks, the system's own client takes its place.
    """

    def __init__(
        self,
        destination: str,
        prompter: Prompter,
        resolve: Callable[[str], SshHost] = resolve,
        config: Path | None = None,
    ) -> None:
        super().__init__(destination)
        self._prompter = prompter
        self._resolve = resolve
        self._config = config
        self._clients: list[paramiko.SSHClient] = []
        self._lock = threading.Lock()
        self._client: OpenSsh | None = None
        self.access: Callable[[], str] = str
        """Returns from where the host can be reached, if known; part of the message if the host does not answer."""

    @property
    def by_client(self) -> bool:
        """Whether the system's own client had to take the place of paramiko."""
        return self._client is not None

    def close(self) -> None:
        with self._lock:
            ssh_auth.close(self._clients)
            self._clients = []

    def disconnect(self) -> None:
        self.close()
        if self._client is not None:
            self._client.disconnect()

    def _connect(self) -> None:
        with self._lock:
            if self._client is None:
                try:
                    self._log_in()
                except ClientOnly:
                    self._client = OpenSsh(self._destination, attended=self._prompter.attended, config=self._config)
                    self._client.say = self.say
        if self._client is not None:
            self._client._connect()

    def _log_in(self) -> None:
        transport = self._clients[-1].get_transport() if self._clients else None
        if transport is not None and transport.is_active():
            return
        ssh_auth.close(self._clients)
        self._clients = []
        with waiting.told(self.say, waiting.login(self._destination)) as on_answer:
            prompter = NotifyingPrompter(self._prompter, on_answer)
            try:
                self._clients = ssh_auth.connect(self._destination, self._resolve, prompter, self.say)
            except Unreachable as error:
                access = self.access()
                by_hand = f"Does `{ssh_config.typed(self._destination)}` work?"
                raise Unreachable(f"{error}. {f'It is reached {access}' if access else by_hand}") from None

    def _channel(self, command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        if self._client is not None:
            return self._client._channel(command, stdin, output, idle_timeout)
        clients = self._clients
        transport = clients[-1].get_transport() if clients else None
        try:
            if transport is None:
                raise EOFError("it broke for another command")
            channel = _start(transport, command)
            try:
                given_up = process.talk(_line(channel), stdin, output, idle_timeout)
                if given_up is not None:
                    return given_up
                return channel.recv_exit_status() if channel.status_event.wait(idle_timeout) else process.SILENT
            finally:
                channel.close()
        except _NotBegun as error:  # the connection is fine, but the server accepts no further session
            raise NoSession(f"{self._destination}: no further session: {error}", retryable=True) from None
        except Exception as error:  # a garbled answer may make paramiko raise anything
            if clients is self._clients:
                self.close()
            reason = printable(str(error)) or type(error).__name__
            raise TransportError(f"{self._destination}: the connection was cut: {reason}", retryable=True) from None


class _NotBegun(Exception):
    """The server refused a further channel, or closed it before confirming that the command had started."""


def _start(transport: paramiko.Transport, command: str) -> paramiko.Channel:
    """Opens a channel and starts a command in it. If several are refused at once, paramiko tells only one of them
    why."""
    channel = None
    try:
        channel = transport.open_session(timeout=60)
        channel.exec_command(os.fsencode(command))
    except paramiko.SSHException as error:
        if channel is not None:
            channel.close()
        if transport.is_active():
            raise _NotBegun(str(error)) from None
        raise
    return channel


def _line(channel: paramiko.Channel) -> process.Line:
    def send(data: bytes) -> int:
        try:
            count = channel.send(data)
        except paramiko.SSHException as error:  # the reading side reports a cut
            raise EOFError(str(error)) from None
        if not count:
            raise EOFError("the channel is closed")
        return count

    return process.Line(
        send, channel.shutdown_write, lambda: channel.recv(1 << 16), lambda: channel.recv_stderr(1 << 16)
    )
