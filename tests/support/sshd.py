"""A real OpenSSH server on loopback, for this user, with its own keys and configuration."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hpcbrew.command_result import CommandResult
from hpcbrew.transports import ssh_config
from hpcbrew.transports.ssh_config import SshHost
from support.until import until

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin")


@dataclass(frozen=True)
class Server:
    """`config`: an ssh configuration in which it is called `cluster`, and `jumped` when reached through itself."""

    port: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def config(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def resolve(self, destination: str) -> SshHost:
        command = ssh_config.resolve_command(destination)
        done = subprocess.run(
            [command[0], "-F", str(self.config), *command[1:]], capture_output=True, text=True, check=False
        )
        return ssh_config.parse(destination, CommandResult(done.returncode, done.stdout, done.stderr))

    def put_client(self, folder: Path) -> None:
        """Writes an `ssh` into `folder` that knows this server by name, for programs that run ssh from PATH."""
        folder.mkdir(exist_ok=True)
        client = folder / "ssh"
        client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.config} "$@"\n')
        client.chmod(0o755)

    def cut(self) -> None:
        """Kills every connection, like a failing network; the server keeps listening."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


@contextlib.contextmanager
def serve(folder: Path, *extra: str) -> Iterator[Server]:
    """`extra`: further lines of sshd_config."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("talks to a real SSH server: apt install openssh-server openssh-client")
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized_keys").write_text((folder / "user_key.pub").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication no\nUsePAM no\nPermitRootLogin yes\n"
        + "".join(f"{line}\n" for line in extra)
    )
    common = (
        f"  User {getpass.getuser()}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {folder}/user_key\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
    )
    (folder / "ssh_config").write_text(f"Host cluster\n{common}\nHost jumped\n{common}  ProxyJump cluster\n")
    with _running(port, folder) as server:
        yield server


@contextlib.contextmanager
def serve_again(server: Server) -> Iterator[Server]:
    """Restarts a stopped server with the same configuration, whose files may exist only now."""
    with _running(server.port, server.folder) as again:
        yield again


@contextlib.contextmanager
def _running(port: int, folder: Path) -> Iterator[Server]:
    assert SSHD is not None
    if Path("/run").is_dir() and getpass.getuser() == "root":
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        until(lambda: _answers(port, folder / "sshd.log", process))
        yield Server(port, folder, process)
    finally:
        process.terminate()
        process.wait()


def ended(number: str) -> bool:
    """Waits until a process on this machine has ended. Raises AssertionError if it does not."""
    return until(lambda: _has_ended(number.strip()), 10)


def _has_ended(number: str) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _answers(port: int, log: Path, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, log.read_text()
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
