import socket
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.errors import Unreachable
from hpcbrew.transports import ssh_auth
from hpcbrew.transports.connect import connect
from hpcbrew.transports.local import Local
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh


@pytest.mark.parametrize(("name", "kind"), [("local", Local), ("ssh", Ssh), ("openssh", OpenSsh)])
def test_a_profile_names_its_transport(name, kind):
    assert type(connect(Address("iitd", name, "pbs", "hpc.iitd.ac.in"))) is kind


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError("timed out"), "it does not answer"),
        (socket.gaierror(-2, "not known"), "there is no host of that name"),
    ],
)
def test_a_host_out_of_reach_is_told_with_what_its_profile_knows(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    """At once, and not five times over."""
    asked: list[float] = []

    def none(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(timeout)
        raise error

    monkeypatch.setattr(ssh_auth.socket, "create_connection", none)
    with pytest.raises(Unreachable, match=rf"{said} .*\. It is reached from the campus network or its VPN$"):
        connect(Address("iitd", "ssh", "pbs", "hpc.iitd.ac.in")).run(["true"], PurePosixPath("/"))
    assert asked == [5.0]
