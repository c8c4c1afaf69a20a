import pytest

from hpcbrew.errors import TransportError
from hpcbrew.transports.paramiko_ssh import resolve


def test_without_the_systems_client_nobody_can_say_what_ssh_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TransportError, match="the OpenSSH client `ssh` is not installed"):
        resolve("cluster")
