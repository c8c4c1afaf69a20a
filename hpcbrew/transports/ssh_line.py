"""The line below an SSH connection: what a server may send on it is bounded."""

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
"""Bytes that a server needs to introduce itself and let one in: what it says by then is kept in memory."""

PACKET = 2**20
"""Bytes of one packet: OpenSSH sends, and takes, no more than 256 KiB."""

COUNT = 100
"""Things that one message of the login holds at most."""

GRACE = 2.0  # seconds for a ProxyCommand to end


class Socket(Protocol):
    """What paramiko needs of one."""

    def send(self, data: bytes, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def close(self) -> None: ...


class Proxy:
    """A ProxyCommand, run by the user's shell as ssh does, as a socket."""

    def __init__(self, command: str) -> None:
        self._socket, theirs = socket.socketpair()
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        shell = os.environ.get("SHELL") or "/bin/sh"
        with theirs:
            self._process = subprocess.Popen(
                [shell, "-c", f"exec {command}"], stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=self._said
            )
        self.settimeout = self._socket.settimeout

    def send(self, data: bytes) -> int:
        """What a command that ended does not take is lost without an error: the next `recv` tells what it said."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            return self._socket.send(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        with contextlib.suppress(ConnectionResetError):  # it ended without reading all that it was sent
            if data := self._socket.recv(size):
                return data
        if words := self._words():
            raise OSError(f"its ProxyCommand said: {words}")
        return b""

    def _words(self) -> str:
        """The last of what the command said of itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        with contextlib.suppress(OSError, ValueError):
            self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - 300))
            return printable(self._said.read().decode(errors="replace").strip())
        return ""

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


class Bounded:
    """A socket that refuses what is more than a login takes, until it is told that one is in."""

    def __init__(self, line: Socket) -> None:
        self._line = line
        self._left: int | None = BEFORE_LOGIN
        self._closed = False  # paramiko looks there
        self.send, self.settimeout = line.send, line.settimeout

    def close(self) -> None:
        self._closed = True
        self._line.close()

    def logged_in(self) -> None:
        """From here on the connection itself has its bounds."""
        self._left = None

    def recv(self, size: int) -> bytes:
        data = self._line.recv(size)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise OSError(f"the server sent more than {BEFORE_LOGIN // 2**20} MiB before it let anyone in")
        return data


class _Packets(Packetizer):
    """A packet that announces more than it could hold would be built up in memory all the same."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > PACKET:
            raise paramiko.SSHException(f"the server announced a packet of {n} bytes")
        read: bytes = super().read_all(n, check_rekey)
        return read

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
"""Messages that say how many things they hold, extensions and questions at the login, and after how many strings."""


def transport(line: Bounded, preferred: Callable[[tuple[str, ...]], tuple[str, ...]]) -> paramiko.Transport:
    """paramiko's, with packets of bounded size. `preferred` puts the kinds of host keys into the order to ask for."""
    made = paramiko.Transport(line, packetizer_class=_Packets)  # type: ignore[arg-type]
    options = made.get_security_options()
    options.key_types = preferred(tuple(options.key_types))
    return made
