"""A cluster behind SSH, by paramiko: one connection, a channel a command."""

import logging
import subprocess
import threading
from collections.abc import Callable, Iterable

import paramiko

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError
from hpcbrew.transports import process, ssh_auth, ssh_config
from hpcbrew.transports.process import CommandOutput
from hpcbrew.transports.prompt import Prompter
from hpcbrew.transports.remote_shell import RemoteShell
from hpcbrew.transports.ssh_config import SshHost

# What it logs is raised as well: without a handler Python would print it between the lines of the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def resolve(destination: str) -> SshHost:
    """What `ssh destination` would do. Raises TransportError where there is no ssh to ask."""
    command = ssh_config.resolve_command(destination)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise TransportError(
            "the OpenSSH client `ssh` is not installed; it is needed to read your ssh configuration"
        ) from None
    return ssh_config.parse(destination, CommandResult(done.returncode, done.stdout, done.stderr))


class Ssh(RemoteShell):
    """Connects when first needed, and again after a cut. Several threads may use it at once."""

    def __init__(self, destination: str, prompter: Prompter, resolve: Callable[[str], SshHost] = resolve) -> None:
        super().__init__(destination)
        self._prompter = prompter
        self._resolve = resolve
        self._clients: list[paramiko.SSHClient] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            ssh_auth.close(self._clients)
            self._clients = []

    def disconnect(self) -> None:
        self.close()

    def _connect(self) -> None:
        with self._lock:
            transport = self._clients[-1].get_transport() if self._clients else None
            if transport is None or not transport.is_active():
                ssh_auth.close(self._clients)
                self._clients = ssh_auth.connect(self._destination, self._resolve, self._prompter)

    def _channel(self, command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        clients = self._clients
        transport = clients[-1].get_transport() if clients else None
        try:
            if transport is None:
                raise EOFError("it broke for another command")
            channel = transport.open_session(timeout=60)
            try:
                channel.exec_command(command)
                ended = process.talk(_line(channel), stdin, output, idle_timeout) and channel.status_event.wait(
                    idle_timeout
                )
                return channel.recv_exit_status() if ended else process.SILENT
            finally:
                channel.close()
        except paramiko.ChannelException as error:  # the line stands: the server takes no further session
            raise TransportError(f"{self._destination}: no further session: {error}", retryable=True) from None
        except (OSError, EOFError, paramiko.SSHException) as error:
            if clients is self._clients:
                self.close()
            said = str(error) or type(error).__name__
            raise TransportError(f"{self._destination}: the connection was cut: {said}", retryable=True) from None


def _line(channel: paramiko.Channel) -> process.Line:
    def send(data: bytes) -> int:
        try:
            sent = channel.send(data)
        except paramiko.SSHException as error:  # a cut is told by the reading side
            raise EOFError(str(error)) from None
        if not sent:
            raise EOFError("the channel is closed")
        return sent

    return process.Line(
        send, channel.shutdown_write, lambda: channel.recv(1 << 16), lambda: channel.recv_stderr(1 << 16)
    )
