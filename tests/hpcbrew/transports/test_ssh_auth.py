import subprocess

import pytest
from support import sshd

from hpcbrew.errors import TransportError
from hpcbrew.transports import ssh_auth


class Person(ssh_auth.Unattended):
    """Somebody at the terminal, who says yes or no to a host key and has these answers ready."""

    def __init__(self, *answers, trusts=False):
        self.answers = list(answers)
        self.trusts = trusts
        self.shown = []

    def confirm_host_key(self, host, kind, fingerprint):
        self.shown.append((host, kind, fingerprint))
        return self.trusts

    def answer(self, prompt, *, secret):
        self.shown.append(prompt)
        return self.answers.pop(0) if self.answers else None


def login(server, person, destination="cluster"):
    clients = ssh_auth.connect(destination, server.resolve, person)
    ssh_auth.close(clients)
    return len(clients)


def test_each_jump_is_a_connection_of_its_own(server):
    assert login(server, Person()) == 1
    assert login(server, Person(), "jumped") == 2


def test_an_unknown_host_key_is_refused_and_named(tmp_path):
    with sshd.serve(tmp_path) as server:
        server.known_hosts.write_text("")
        shown = subprocess.run(
            ["ssh-keygen", "-lf", tmp_path / "host_key.pub"], capture_output=True, text=True, check=True
        ).stdout.split()[1]
        with pytest.raises(TransportError, match="host key is not known here") as raised:
            login(server, Person())
        assert shown in str(raised.value)
        assert server.known_hosts.read_text() == ""


def test_a_confirmed_host_key_is_written_down_once(tmp_path):
    with sshd.serve(tmp_path) as server:
        server.known_hosts.write_text("other ssh-ed25519 AAAA")
        person = Person(trusts=True)
        login(server, person)
        login(server, person)
        assert len(person.shown) == 1
        lines = server.known_hosts.read_text().splitlines()
        assert len(lines) == 2
        assert lines[0] == "other ssh-ed25519 AAAA"


def test_a_changed_host_key_stops_everything(tmp_path):
    with sshd.serve(tmp_path) as server:
        other = (tmp_path / "user_key.pub").read_text().split()[:2]
        server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {' '.join(other)}\n")
        with pytest.raises(TransportError, match="CHANGED") as raised:
            login(server, Person(trusts=True))
        assert not raised.value.retryable


def test_a_refused_login_names_what_the_server_takes(tmp_path):
    with sshd.serve(tmp_path) as server:
        (tmp_path / "authorized_keys").write_text("")
        with pytest.raises(TransportError, match="publickey") as raised:
            login(server, Person())
        assert not raised.value.retryable


def test_a_locked_key_is_opened_with_its_passphrase(tmp_path):
    with sshd.serve(tmp_path) as server:
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", tmp_path / "user_key"], check=True)
        assert login(server, Person("open sesame")) == 1
        with pytest.raises(TransportError, match="passphrase"):
            login(server, Person("wrong"))


def test_no_server_is_a_failure_worth_trying_again(tmp_path):
    with sshd.serve(tmp_path) as server:
        pass
    with pytest.raises(TransportError, match="no connection") as raised:
        login(server, Person())
    assert raised.value.retryable
