"""The byte stream below an SSH connection, with bounds on what a server may send."""

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable
from typing import IO, Protocol

import paramiko
from paramiko.packet import Packetizer

from engine.printable import printable

BEFORE_LOGIN = 2**20
"""The most bytes that a server may send until the login is complete; they are kept in memory."""

PACKET = 2**20
"""The most bytes of one packet; OpenSSH sends and accepts no more than 256 KiB."""

COUNT = 100
"""The most entries (questions, extensions) in one message of the login."""

GRACE = 2.0  # seconds for a ProxyCommand to end


class Socket(Protocol):
    """What paramiko needs of a socket."""

    def send(self, data: bytes, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def close(self) -> None: ...


class Proxy:
    """A ProxyCommand as a socket; the user's shell runs it, as in ssh."""

    def __init__(self, command: str) -> None:
        self._socket, other_end = socket.socketpair()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        shell = os.environ.get("SHELL") or "/bin/sh"
        with other_end:
            self._process = subprocess.Popen(
                [shell, "-c", f"exec {command}"],
                stdin=other_end.fileno(),
                stdout=other_end.fileno(),
                stderr=self._stderr,
            )
        self.settimeout = self._socket.settimeout

    def send(self, data: bytes) -> int:
        """Sends data. If the command has ended, the data are lost without an error: the next `recv` reports its
        words."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            return self._socket.send(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        with contextlib.suppress(ConnectionResetError):  # it ended without reading all its input
            if data := self._socket.recv(size):
                return data
        if words := self._words():
            raise OSError(f"its ProxyCommand said: {words}")
        return b""

    def _words(self) -> str:
        """Returns the end of what the command printed on standard error."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        with contextlib.suppress(OSError, ValueError):
            self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 300))
            return printable(self._stderr.read().decode(errors="replace").strip())
        return ""

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()


class Bounded:
    """A socket that limits what it receives to what a login needs, until it is told that the login is complete."""

    def __init__(self, line: Socket) -> None:
        self._line = line
        self._budget: int | None = BEFORE_LOGIN
        self._closed = False  # paramiko reads this
        self.send, self.settimeout = line.send, line.settimeout

    def close(self) -> None:
        self._closed = True
        self._line.close()

    def logged_in(self) -> None:
        """Lifts the limit: from here on, the SSH connection has its own bounds."""
        self._budget = None

    def recv(self, size: int) -> bytes:
        data = self._line.recv(size)
        if self._budget is not None:
            self._budget -= len(data)
            if self._budget < 0:
                raise OSError(f"the server sent more than {BEFORE_LOGIN // 2**20} MiB before the login was complete")
        return data


class _Packets(Packetizer):
    """Refuses packets and messages that announce impossible sizes, for which paramiko would allocate memory."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > PACKET:
            raise paramiko.SSHException(f"the server announced a packet of {n} bytes")
        data: bytes = super().read_all(n, check_rekey)
        return data

    def read_message(self) -> tuple[int, paramiko.Message]:
        kind, message = super().read_message()
        if kind in _COUNTED:
            ahead = paramiko.Message(message.asbytes())
            for _ in range(_COUNTED[kind]):
                ahead.get_binary()
            if (count := ahead.get_int()) > COUNT:
                raise paramiko.SSHException(f"the server announced {count} questions or extensions")
        return kind, message


_COUNTED = {7: 0, 60: 3}
"""Messages with a count of entries (extensions, questions at the login), and the number of strings before the count."""


def transport(line: Bounded, preferred: Callable[[tuple[str, ...]], tuple[str, ...]]) -> paramiko.Transport:
    """Returns paramiko's transport with bounded packets. `preferred` orders the host key types to ask for."""
    connection = paramiko.Transport(line, packetizer_class=_Packets)  # type: ignore[arg-type]
    options = connection.get_security_options()
    options.key_types = preferred(tuple(options.key_types))
    return connection
