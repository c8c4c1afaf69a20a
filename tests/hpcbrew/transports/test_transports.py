import pytest

from hpcbrew import transports
from hpcbrew.address import Address
from hpcbrew.transports.local import Local
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.ssh import Ssh


@pytest.mark.parametrize(("name", "kind"), [("local", Local), ("ssh", Ssh), ("openssh", OpenSsh)])
def test_a_profile_names_its_transport(name, kind):
    assert type(transports.connect(Address("iitd", name, "pbs", "hpc.iitd.ac.in"))) is kind
