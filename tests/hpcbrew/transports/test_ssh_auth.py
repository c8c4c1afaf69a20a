import subprocess

import pytest
from support import sshd
from support.person import Person, login

from hpcbrew.errors import TransportError


def test_each_jump_is_a_connection_of_its_own(server):
    assert login(server, Person()) == 1
    assert login(server, Person(), "jumped") == 2


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
