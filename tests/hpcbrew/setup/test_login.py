import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from support import login_server, sshd
from support.login_server import CODE, PASSWORD, LoginServer

from hpcbrew.errors import LoginRefused, TransportError
from hpcbrew.setup import ssh_keys
from hpcbrew.setup.login import login, login_by_client
from hpcbrew.transports.host_keys import fingerprint
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Expected, Prompter, Unattended
from hpcbrew.transports.ssh_config import SshHost


class Person(Unattended):
    """Knows the host's fingerprint, and answers each prompt by its first word."""

    def __init__(self, server: LoginServer, **answers: object) -> None:
        self.trusted = fingerprint(server.key)
        self.answers = {word: list(a) if isinstance(a, list) else [a] for word, a in answers.items()}
        self.asked: list[tuple[str, bool]] = []

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        return fingerprint == self.trusted

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        word = prompt.removeprefix("(me@127.0.0.1) ").split(maxsplit=1)[0].strip(":").lower()
        self.asked.append((word, secret))
        answers = self.answers[word]
        return str(answers.pop(0) if len(answers) > 1 else answers[0])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoginServer]:
    with login_server.serve(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_is_asked_for_a_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ssh_keys.make
    monkeypatch.setattr(ssh_keys, "make", lambda path, kind, *, ask: made(path, kind, ask=False))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def run(server: LoginServer, person: Prompter, kind: str = "ed25519", *, ask: bool = True) -> tuple[list[str], Ssh]:
    said: list[str] = []
    session = login("cluster", server.resolve, person, kind, said.append, ask=ask)
    session.close()
    return said, session


def authorized(server: LoginServer) -> str:
    return (server.home / ".ssh" / "authorized_keys").read_text()


def test_from_a_password_to_a_key(server: LoginServer) -> None:
    person = Person(server, password=PASSWORD)
    said, _ = run(server, person)
    assert person.asked == [("password", True)]
    assert said[-1] == "the key works: no password from now on"
    public = (server.laptop / ".ssh" / "id_ed25519.pub").read_text()
    assert authorized(server) == public
    Ssh("cluster", Unattended(), server.resolve).run(["true"], PurePosixPath("/"))


def test_what_the_passphrase_is_for_is_said_before_it_is_asked_for(
    server: LoginServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made = ssh_keys.make

    def asking(path: Path, kind: str, *, ask: bool) -> None:
        assert ask
        said.append("Enter passphrase:")
        made(path, kind, ask=False)

    monkeypatch.setattr(ssh_keys, "make", asking)
    login("cluster", server.resolve, Person(server, password=PASSWORD), "ed25519", said.append, ask=True).close()
    before = said[said.index("Enter passphrase:") - 1]
    assert before.startswith(f"making an SSH key for you, {server.laptop / '.ssh' / 'id_ed25519'}. Choose a passphrase")


def test_the_second_time_nothing_is_asked_and_nothing_changes(server: LoginServer) -> None:
    run(server, Person(server, password=PASSWORD))
    before = authorized(server)
    said, _ = run(server, Unattended(), ask=False)
    assert said == ["cluster lets you in without a password already"]
    assert authorized(server) == before


def test_no_secret_is_written_down(server: LoginServer, home: Path) -> None:
    run(server, Person(server, password=PASSWORD))
    written = [
        path.read_bytes() for top in (server.home, server.laptop, home) for path in top.rglob("*") if path.is_file()
    ]
    assert len(written) >= 3
    assert not [data for data in written if PASSWORD.encode() in data]


def test_a_mistyped_password_may_be_tried_again(server: LoginServer) -> None:
    said, _ = run(server, Person(server, password=["wrong", PASSWORD]))
    assert said[0] == "that was refused; 2 more tries"
    assert said[-1].startswith("the key works")


def test_three_wrong_passwords_end_it(server: LoginServer) -> None:
    with pytest.raises(LoginRefused, match="password"):
        run(server, Person(server, password="wrong"))
    assert [way for way, _ in server.log].count("password") == 3


def test_a_second_factor_is_asked_for_and_said_to_stay(tmp_path: Path) -> None:
    with login_server.serve(tmp_path, second_factor=True) as server:
        person = Person(server, password=PASSWORD, code=CODE)
        said, _ = run(server, person)
        assert person.asked == [("password", True), ("code", True)]
        assert said[-1] == "the site asks for more than a key at each login: keyboard-interactive"
        assert authorized(server).startswith("ssh-ed25519 ")


def test_no_empty_code_is_sent_where_nobody_is_asked(tmp_path: Path) -> None:
    """It would count as a failed login, and some sites lock accounts."""
    with login_server.serve(tmp_path, second_factor=True) as server:
        run(server, Person(server, password=PASSWORD, code=CODE))
        assert ("code", False) not in server.log


def test_a_site_without_keys_is_told_from_one_that_refuses_this_key(tmp_path: Path) -> None:
    with login_server.serve(tmp_path, takes_keys=False) as server:
        said, _ = run(server, Person(server, password=PASSWORD))
        assert said[-1] == "the site asks for more than a key at each login: password"


def test_a_key_that_the_server_does_not_take_gets_a_remedy(
    server: LoginServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_keys, "INSTALL", "echo added")
    said, _ = run(server, Person(server, password=PASSWORD))
    assert "chmod go-w . .ssh .ssh/authorized_keys" in said[-1]


def test_where_the_site_wants_rsa_the_key_is_rsa(server: LoginServer) -> None:
    run(server, Person(server, password=PASSWORD), "rsa")
    assert authorized(server).startswith("ssh-rsa ")


def test_a_host_key_that_is_not_the_expected_one_stops_it_before_any_password(server: LoginServer) -> None:
    with pytest.raises(TransportError, match=r"fingerprint SHA256:\S+, but SHA256:other was given"):
        run(server, Expected("SHA256:other", Person(server, password=PASSWORD)))
    assert server.log == []
    assert not (server.laptop / ".ssh" / "known_hosts").exists()


def test_the_expected_fingerprint_is_taken_and_written_down(server: LoginServer) -> None:
    person = Expected(fingerprint(server.key), Person(server, password=PASSWORD))
    run(server, person)
    assert server.key.get_base64() in (server.laptop / ".ssh" / "known_hosts").read_text()


def test_nobody_is_asked_where_nobody_may_be(server: LoginServer) -> None:
    with pytest.raises(LoginRefused):
        run(server, Expected(fingerprint(server.key), Unattended()), ask=False)
    assert server.log == []


def test_the_systems_client_lets_a_key_be_installed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own way in stands for a password here: a key that only the connection in use knows of."""
    home = tmp_path / "remote"
    home.mkdir()
    with sshd.serve(tmp_path, f'ForceCommand HOME={home} bash -c "$SSH_ORIGINAL_COMMAND"') as server:
        bare = tmp_path / "bare"
        bare.write_text(server.config.read_text().replace("user_key", "new_key"))
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {bare} "$@"\n')
        (tmp_path / "bin" / "ssh").chmod(0o755)
        session = OpenSsh("cluster", attended=False, config=server.config)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")

        def resolve(destination: str) -> SshHost:
            return replace(server.resolve(destination), identities=(tmp_path / "new_key",))

        said: list[str] = []
        login_by_client("cluster", resolve, session, "ed25519", said.append, ask=False)
        assert said[0] == "logged in to cluster"
        public = (tmp_path / "new_key.pub").read_text()
        assert (home / ".ssh" / "authorized_keys").read_text() == public
        with (tmp_path / "authorized_keys").open("a") as file:  # where this server looks
            file.write(public)
        again: list[str] = []
        login_by_client("cluster", resolve, session, "ed25519", again.append, ask=False)
        assert again == ["cluster lets you in without a password already"]
        session.disconnect()


def test_the_systems_client_asks_nobody_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with sshd.serve(tmp_path) as server:
        server.known_hosts.write_text("")
        session = OpenSsh("cluster", attended=False, config=server.config)
        with pytest.raises(TransportError, match=r"Host key verification failed.*by hand, `ssh cluster`"):
            login_by_client("cluster", server.resolve, session, "ed25519", [].append, ask=False)
