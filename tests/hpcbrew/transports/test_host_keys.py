import subprocess

import pytest
from support import sshd
from support.person import Person, login

from hpcbrew.errors import TransportError


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
