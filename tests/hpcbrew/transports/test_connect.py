import subprocess

import pytest

from hpcbrew.address import Address
from hpcbrew.transports import pipe
from hpcbrew.transports.connect import connect
from hpcbrew.transports.local import Local
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh


@pytest.mark.parametrize(("name", "kind"), [("local", Local), ("ssh", Ssh), ("openssh", OpenSsh)])
def test_a_profile_names_its_transport(name, kind):
    assert type(connect(Address("iitd", name, "pbs", "hpc.iitd.ac.in"))) is kind


def test_scripts_are_quoted_for_csh_too() -> None:
    """It takes no line break in quotes, and reads ! in them; bash sees the script as it was."""
    script = "[ ! -e /gone ] &&\nprintf '%s' \"it's\"; exit 3"
    word = pipe.quoted(script)
    assert not {"\n", "!"} & set(word)
    done = subprocess.run(f"bash -c {word}", shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("it's", 3)
