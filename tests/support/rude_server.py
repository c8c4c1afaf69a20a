"""Servers that never answer, or never stop answering: plain sockets, and paramiko's server class."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko

from support import login_server
from support.login_server import LoginServer


@contextlib.contextmanager
def listening(speak: Callable[[socket.socket], object]) -> Iterator[int]:
    """The port of one that does so to each caller, in a thread."""
    kept: list[socket.socket] = []

    def talk(line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            speak(line)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = listener.accept()
                kept.append(line)
                threading.Thread(target=talk, args=(line,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, args=(listener,), daemon=True)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()  # else it would accept on a later listener that gets the same descriptor
            for line in kept:
                line.close()


def config(folder: Path, port: int) -> Path:
    """An ssh configuration in which the server is called `cluster`."""
    path = folder / "ssh_config"
    path.write_text(
        f"Host cluster\n  HostName 127.0.0.1\n  Port {port}\n  UserKnownHostsFile {folder}/known_hosts\n"
        "  StrictHostKeyChecking accept-new\n  IdentityFile none\n"
    )
    return path


@contextlib.contextmanager
def answering(folder: Path, answer: Callable[[paramiko.Channel, bytes], object]) -> Iterator[LoginServer]:
    """A server that lets everybody log in and gives the same answer to each command."""

    class Session(login_server.Session):
        def check_auth_none(self, username: str) -> int:
            return paramiko.common.AUTH_SUCCESSFUL

        def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
            threading.Thread(target=self.answer, args=(channel, command), daemon=True).start()
            return True

        def answer(self, channel: paramiko.Channel, command: bytes) -> None:
            with contextlib.suppress(OSError, EOFError):
                answer(channel, command)

    with login_server.serve(folder, session=Session) as server:
        yield server
