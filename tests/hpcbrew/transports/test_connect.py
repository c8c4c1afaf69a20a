import pytest

from hpcbrew.address import Address
from hpcbrew.transports.connect import connect
from hpcbrew.transports.local import Local
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh


@pytest.mark.parametrize(("name", "kind"), [("local", Local), ("ssh", Ssh), ("openssh", OpenSsh)])
def test_a_profile_names_its_transport(name, kind):
    assert type(connect(Address("iitd", name, "pbs", "hpc.iitd.ac.in"))) is kind
