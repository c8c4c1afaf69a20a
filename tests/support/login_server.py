"""An SSH server that asks for a password, or for a key or password and then a code; OpenSSH would need PAM for that.

Built on paramiko's server class. Commands really run, in their own home folder, whose authorized_keys file is used.
"""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from hpcbrew.transports.ssh_config import SshHost

PASSWORD, CODE = "correct horse", "492816"


@dataclass
class LoginServer:
    """`log`: each login method tried, and whether it worked. `home`: the user's home folder there."""

    home: Path
    laptop: Path
    key: paramiko.PKey
    port: int
    second_factor: bool
    takes_keys: bool = True
    log: list[tuple[str, bool]] = field(default_factory=list)

    def resolve(self, destination: str) -> SshHost:
        ssh = self.laptop / ".ssh"
        identities = tuple(ssh / name for name in ("id_rsa", "id_ed25519"))
        return SshHost(destination, "127.0.0.1", self.port, "me", identities, True, (ssh / "known_hosts",))


class Session(paramiko.ServerInterface):
    def __init__(self, server: LoginServer) -> None:
        self.server = server
        self.first_done = False

    def get_allowed_auths(self, username: str) -> str:
        if self.first_done:
            return "keyboard-interactive"
        return "publickey,password" if self.server.takes_keys else "password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        path = self.server.home / ".ssh" / "authorized_keys"
        known = path.read_text() if path.exists() else ""
        return self._judge("publickey", self.server.takes_keys and key.get_base64() in known)

    def check_auth_password(self, username: str, password: str) -> int:
        return self._judge("password", password == PASSWORD)

    def _judge(self, way: str, right: bool) -> int:
        self.server.log.append((way, right))
        if not right:
            return paramiko.common.AUTH_FAILED
        self.first_done = self.server.second_factor
        return paramiko.common.AUTH_PARTIALLY_SUCCESSFUL if self.first_done else paramiko.common.AUTH_SUCCESSFUL

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery | int:
        return paramiko.InteractiveQuery("", "", ("Code:", False)) if self.first_done else paramiko.common.AUTH_FAILED

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        right = responses == [CODE]
        self.server.log.append(("code", right))
        return paramiko.common.AUTH_SUCCESSFUL if right else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_run, args=(self.server.home, channel, command), daemon=True).start()
        return True


def _run(home: Path, channel: paramiko.Channel, command: bytes) -> None:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    with channel.makefile("rb") as stdin:
        given = stdin.read()
    done = subprocess.run(["bash", "-c", command], input=given, capture_output=True, env=environment, check=False)
    channel.sendall(done.stdout)
    channel.sendall_stderr(done.stderr)
    channel.send_exit_status(done.returncode)
    channel.close()


@contextlib.contextmanager
def serve(
    folder: Path, *, second_factor: bool = False, takes_keys: bool = True, session: type[Session] = Session
) -> Iterator[LoginServer]:
    """Listens on loopback until the end of the block."""
    home, laptop = folder / "there", folder / "laptop"
    home.mkdir()
    (laptop / ".ssh").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        key = paramiko.RSAKey.generate(2048)
        server = LoginServer(home, laptop, key, listener.getsockname()[1], second_factor, takes_keys)
        accepting = threading.Thread(target=_accept, args=(listener, server, session), daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()  # else it would accept on a later listener that gets the same descriptor


def _accept(listener: socket.socket, server: LoginServer, session: type[Session]) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:  # the listener was closed
            return
        transport = paramiko.Transport(line)
        transport.add_server_key(server.key)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):  # a client that hangs up early
            transport.start_server(server=session(server))
