import socket
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.errors import Unreachable
from hpcbrew.transports import ssh_config, tcp_line
from hpcbrew.transports.openssh import OpenSsh


@pytest.fixture
def mute() -> Iterator[int]:
    """A port at which nobody answers: what waits to be let in there is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port
        for one in waiting:
            one.close()


def test_a_host_that_does_not_answer(mute: int) -> None:
    with pytest.raises(Unreachable, match="me@there: no connection: it does not answer"):
        tcp_line.connected("127.0.0.1", mute, 0.1, "me@there")


def test_ssh_s_own_client_is_not_waited_for_either(mute: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_config, "REACH", 0.1)
    (tmp_path / "config").write_text(f"Host cluster\n  HostName 127.0.0.1\n  Port {mute}\n")
    with pytest.raises(Unreachable, match=f"127.0.0.1:{mute}: no connection: it does not answer"):
        OpenSsh("cluster", attended=False, config=tmp_path / "config").run(["true"], PurePosixPath("/"))
