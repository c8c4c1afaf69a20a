"""If `ssh HOST` works, so does this: a table of configurations, each tried by both on a real server."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from support import beside_ssh, sshd
from support.sshd import Server

from hpcbrew.address import Address
from hpcbrew.cli import open as opening
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.transports import paramiko_ssh
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended

RUNNING = JobStatus(JobState.RUNNING)
Steps = Callable[[Server, "Cell"], str]


@dataclass
class Cell:
    """Where a case plays: a folder, and an agent with no keys yet."""

    folder: Path
    agent: Path

    def add(self, key: Path) -> None:
        subprocess.run(
            ["ssh-add", "-q", key],
            env={**os.environ, "SSH_AUTH_SOCK": str(self.agent)},
            check=True,
            capture_output=True,
        )

    def key(self, name: str, passphrase: str = "") -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
        return path

    def certified(self, key: Path) -> Path:
        """A certificate for the user by an authority that the server trusts."""
        authority = self.folder / "authority"
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(
            ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", user, key.with_name(f"{key.name}.pub")], check=True
        )
        return key.with_name(f"{key.name}-cert.pub")


def replaced(server: Server, *words: str) -> str:
    """The server's own configuration with the user's key taken out, and these lines in front of it."""
    own = server.config.read_text().replace(f"  IdentityFile {server.folder}/user_key\n", "")
    return "".join(f"{word}\n" for word in words) + own


def identity_agent(server: Server, cell: Cell) -> str:
    cell.add(server.folder / "user_key")
    return replaced(server, f'IdentityAgent "{cell.agent}"', "IdentitiesOnly no", "IdentityFile none")


def agent_by_variable(server: Server, cell: Cell) -> str:
    cell.add(server.folder / "user_key")
    return replaced(server, "IdentityAgent $MY_AGENT", "IdentitiesOnly no", "IdentityFile none")


def no_agent(server: Server, cell: Cell) -> str:
    cell.add(server.folder / "user_key")
    return replaced(server, "IdentityAgent none", "IdentitiesOnly no", "IdentityFile none")


def public_key_names_one_in_the_agent(server: Server, cell: Cell) -> str:
    for number in range(8):
        cell.add(cell.key(f"other{number}"))
    cell.add(server.folder / "user_key")
    shutil.copy(server.folder / "user_key.pub", cell.folder / "mine.pub")
    return replaced(server, f'IdentityAgent "{cell.agent}"', f"IdentityFile {cell.folder}/mine.pub")


def key_in_the_agent_and_public_half_beside(server: Server, cell: Cell) -> str:
    cell.add(server.folder / "user_key")
    shutil.copy(server.folder / "user_key.pub", cell.folder / "away.pub")
    return replaced(server, f'IdentityAgent "{cell.agent}"', f"IdentityFile {cell.folder}/away")


def only_what_is_named(server: Server, cell: Cell) -> str:
    cell.add(server.folder / "user_key")
    return replaced(server, f'IdentityAgent "{cell.agent}"', f"IdentityFile {cell.key('other')}")


def too_many_keys(server: Server, cell: Cell) -> str:
    for number in range(8):
        cell.add(cell.key(f"other{number}"))
    cell.add(server.folder / "user_key")
    return replaced(server, f'IdentityAgent "{cell.agent}"', "IdentitiesOnly no", "IdentityFile none")


def locked_key_in_the_agent(server: Server, cell: Cell) -> str:
    cell.add(server.folder / "user_key")
    key = server.folder / "user_key"
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", key], check=True)
    key.with_name("user_key.pub").unlink()
    return f'IdentityAgent "{cell.agent}"\n{server.config.read_text()}'


def locked_key(server: Server, cell: Cell) -> str:
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", server.folder / "user_key"], check=True)
    return server.config.read_text()


def locked_key_before_one_that_is_not(server: Server, cell: Cell) -> str:
    return f"IdentityFile {cell.key('locked', 'open sesame')}\n{server.config.read_text()}"


def path_with_spaces_and_tokens(server: Server, cell: Cell) -> str:
    shutil.copytree(server.folder, cell.folder / "my keys of 127.0.0.1", ignore=shutil.ignore_patterns("my*"))
    return replaced(server, f'IdentityFile "{cell.folder}/my keys of %h/user_key"')


def certificate_by_name(server: Server, cell: Cell) -> str:
    key = cell.key("certified")
    cell.certified(key).rename(cell.folder / "my certificate.pub")
    return replaced(server, f'CertificateFile "{cell.folder}/my certificate.pub"', f"IdentityFile {key}")


def certificate_beside_the_key(server: Server, cell: Cell) -> str:
    key = cell.key("certified")
    cell.certified(key)
    return replaced(server, f"IdentityFile {key}")


def certificate_in_the_agent(server: Server, cell: Cell) -> str:
    key = cell.key("certified")
    certificate = cell.certified(key)
    cell.add(key)
    certificate.unlink()
    return replaced(server, f'IdentityAgent "{cell.agent}"', "IdentitiesOnly no", "IdentityFile none")


def match_blocks(server: Server, cell: Cell) -> str:
    own = server.folder / "user_key"
    return replaced(server, 'Match originalhost cluster exec "true"', f"  IdentityFile {own}", "Match all")


def match_that_does_not_hold(server: Server, cell: Cell) -> str:
    own = server.folder / "user_key"
    return replaced(server, 'Match originalhost cluster exec "false"', f"  IdentityFile {own}", "Match all")


def included_file(server: Server, cell: Cell) -> str:
    (cell.folder / "more").write_text(f"IdentityFile {server.folder}/user_key\n")
    return replaced(server, f"Include {cell.folder}/more")


def proxy_command(server: Server, cell: Cell) -> str:
    script = cell.folder / "relay.py"
    script.write_text(RELAY)
    return f"ProxyCommand python3 '{script}' %h $(echo %p) 2>/dev/null\n{server.config.read_text()}"


RELAY = """
import os, socket, sys, threading
line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        line.sendall(data)
    line.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := line.recv(65536):
    os.write(1, data)
"""


def proxy_command_that_fails(server: Server, cell: Cell) -> str:
    return f"ProxyCommand sh -c 'echo no way there >&2; exit 1'\n{server.config.read_text()}"


def two_jumps(server: Server, cell: Cell) -> str:
    return f"Host cluster\n  ProxyJump %r@first,jumped2\n{named(server, 'first')}{named(server, 'jumped2')}"


def a_jump_with_one_of_its_own(server: Server, cell: Cell) -> str:
    jumped = named(server, "first").replace("Host first\n", "Host first\n  ProxyJump inner\n")
    return f"Host cluster\n  ProxyJump first\n{jumped}{named(server, 'inner')}"


def named(server: Server, name: str) -> str:
    """The server by a further name, and what belongs to `cluster` at the end."""
    own = server.config.read_text().partition("Host jumped")[0]
    return own.replace("Host cluster\n", f"Host {name}\n") + own


def keys_are_not_to_be_used(server: Server, cell: Cell) -> str:
    return f"PubkeyAuthentication no\n{server.config.read_text()}"


def another_kind_of_address(server: Server, cell: Cell) -> str:
    return f"AddressFamily inet6\n{server.config.read_text()}"


def command_for_known_hosts(server: Server, cell: Cell) -> str:
    known = server.known_hosts.rename(cell.folder / "elsewhere")
    return f"KnownHostsCommand /bin/cat {known}\n{server.config.read_text()}"


def for_logins_by_hand(server: Server, cell: Cell) -> str:
    lines = "StdinNull yes\nRequestTTY force\nForwardAgent yes\nForwardX11 yes\nLogLevel QUIET\n"
    return f"{lines}PermitLocalCommand yes\nLocalCommand true\n{server.config.read_text()}"


# A configuration, lines of sshd's, and what is said where nobody gets in.
CASES: tuple[tuple[Steps, tuple[str, ...], str], ...] = (
    (identity_agent, (), ""),
    (agent_by_variable, (), ""),
    (no_agent, (), "the login was refused"),
    (public_key_names_one_in_the_agent, (), ""),
    (key_in_the_agent_and_public_half_beside, (), ""),
    (only_what_is_named, (), "the login was refused"),
    (too_many_keys, (), "it may allow no more tries"),
    (locked_key_in_the_agent, (), ""),
    (locked_key, (), "user_key. To unlock: ssh-add "),
    (locked_key_before_one_that_is_not, (), ""),
    (path_with_spaces_and_tokens, (), ""),
    (certificate_by_name, ("TrustedUserCAKeys {folder}/authority.pub",), ""),
    (certificate_beside_the_key, ("TrustedUserCAKeys {folder}/authority.pub",), ""),
    (certificate_in_the_agent, ("TrustedUserCAKeys {folder}/authority.pub",), ""),
    (certificate_by_name, (), "ermission denied"),
    (match_blocks, (), ""),
    (match_that_does_not_hold, (), "the login was refused"),
    (included_file, (), ""),
    (proxy_command, (), ""),
    (proxy_command_that_fails, (), "its ProxyCommand said: no way there"),
    (two_jumps, (), ""),
    (a_jump_with_one_of_its_own, (), ""),
    (keys_are_not_to_be_used, (), "the login was refused"),
    (another_kind_of_address, (), "no connection"),
    (command_for_known_hosts, (), ""),
    (for_logins_by_hand, (), ""),
    (identity_agent, ("Ciphers chacha20-poly1305@openssh.com",), ""),
    (identity_agent, ("KexAlgorithms sntrup761x25519-sha512@openssh.com",), ""),
    (identity_agent, ("MaxSessions 1",), ""),
)


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_runtime: None) -> Iterator[Cell]:
    """The agent's socket has a space in its path."""
    folder = Path(os.environ["XDG_RUNTIME_DIR"]) / "my agent"
    folder.mkdir()
    path = folder / "socket"
    done = subprocess.run(["ssh-agent", "-s", "-a", path], capture_output=True, text=True, check=True)
    number = int(done.stdout.split("SSH_AGENT_PID=")[1].split(";")[0])
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("MY_AGENT", str(path))
    yield Cell(tmp_path, path)
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGTERM)


@pytest.mark.parametrize(
    ("steps", "extra", "said"), CASES, ids=[" ".join([case[0].__name__, *case[1]]) for case in CASES]
)
def test_both_get_in_or_neither(steps, extra, said, tmp_path, cell, monkeypatch):
    monkeypatch.setattr("hpcbrew.transports.retry.PAUSES", ())
    cell.key("authority")
    with sshd.serve(tmp_path, *(line.format(folder=tmp_path) for line in extra)) as server:
        server.config.write_text(steps(server, cell))
        got_in = beside_ssh.ssh(server.config)
        why = beside_ssh.hpcbrew(server.config)
    assert (why == "") == got_in == (said == ""), why
    assert said in why


SOCKET = ["sh", "-c", 'echo "<$SSH_AUTH_SOCK>"']


def test_the_agent_is_forwarded_to_nobody_whatever_the_configuration_says(tmp_path, cell, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(cell.agent))
    cell.add(cell.key("mine"))
    with sshd.serve(tmp_path) as server:
        server.config.write_text(f"ForwardAgent yes\n{server.config.read_text()}")
        by_hand = ["ssh", "-F", server.config, "cluster", 'echo "<$SSH_AUTH_SOCK>"']
        assert subprocess.run(by_hand, capture_output=True, text=True, check=True).stdout.startswith("</tmp/ssh-")
        config = server.config
        for transport in (
            Ssh("cluster", Unattended(), lambda name: paramiko_ssh.resolve(name, config), config),
            OpenSsh("cluster", attended=False, config=config),
        ):
            assert transport.run(SOCKET, PurePosixPath("/")).out == "<>\n"
            transport.disconnect()
        record = JobRecord("t", "n", Address("c", "ssh", "pbs", "cluster"), "s", 0.0, PurePosixPath("/"), RUNNING)
        ssh, *words = opening.shell(record)
        own = tmp_path / "shell"
        own.write_text('#!/bin/sh\necho "<$SSH_AUTH_SOCK>"\n')
        own.chmod(0o755)
        words[-1] = f"SHELL={own} {words[-1].removeprefix('exec ')}"
        opened = subprocess.run([ssh, "-F", config, *words], stdin=subprocess.DEVNULL, capture_output=True, check=True)
        assert opened.stdout.split() == [b"<>"]


@pytest.mark.parametrize("written", ["{user}@127.0.0.1:{port}", "ssh://{user}@127.0.0.1:{port}", "127.0.0.1:{port}"])
def test_a_host_may_be_written_with_its_port_and_is_named_as_ssh_takes_it(written, tmp_path, cell):
    with sshd.serve(tmp_path) as server:
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        server.config.write_text(server.config.read_text().replace("Host cluster", "Host 127.0.0.1"))
        where = written.format(user=user, port=server.port)
        assert beside_ssh.hpcbrew(server.config, where) == ""
        (tmp_path / "authorized_keys").write_text("")
        assert f"`ssh -p {server.port} " in beside_ssh.hpcbrew(server.config, where)
