from pathlib import Path

import pytest

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError
from hpcbrew.transports import ssh_config

ANSWER = """\
user asha
hostname hpc.iitd.ac.in
port 2222
identitiesonly yes
hashknownhosts yes
stricthostkeychecking accept-new
identityfile ~/.ssh/id_ed25519
identityfile /keys/site
globalknownhostsfile /etc/ssh/ssh_known_hosts
userknownhostsfile /home/asha/.ssh/known_hosts /home/asha/.ssh/known_hosts2
proxyjump gate,asha@inner:2200
connecttimeout none
"""


def test_what_ssh_g_says_is_taken():
    host = ssh_config.parse("iitd", CommandResult(0, ANSWER))
    assert (host.user, host.hostname, host.port) == ("asha", "hpc.iitd.ac.in", 2222)
    assert host.identities == (Path.home() / ".ssh/id_ed25519", Path("/keys/site"))
    assert host.known_hosts[0] == Path("/home/asha/.ssh/known_hosts")
    assert host.global_known_hosts == (Path("/etc/ssh/ssh_known_hosts"),)
    assert host.jumps == ("gate", "asha@inner:2200")
    assert (host.identities_only, host.hash_known_hosts, host.new_keys) == (True, True, "accept")
    assert host.known_as == "[hpc.iitd.ac.in]:2222"


def test_a_configuration_that_ssh_cannot_read_is_told_in_its_words():
    with pytest.raises(TransportError, match="Bad configuration option: frob"):
        ssh_config.parse("iitd", CommandResult(255, "", "config: line 3: Bad configuration option: frob"))


@pytest.mark.parametrize(
    ("destination", "command"),
    [
        ("iitd", ("ssh", "-G", "--", "iitd")),
        ("asha@inner:2200", ("ssh", "-G", "-l", "asha", "-p", "2200", "--", "inner")),
        ("[::1]:22", ("ssh", "-G", "-p", "22", "--", "::1")),
        ("-oProxyCommand=evil", ("ssh", "-G", "--", "-oProxyCommand=evil")),
    ],
)
def test_a_destination_becomes_arguments_of_ssh(destination, command):
    assert ssh_config.resolve_command(destination) == command


def test_the_tokens_of_a_proxy_command_are_filled_in():
    answer = CommandResult(0, "user u\nhostname h\nport 23\nproxycommand exec nc -X %% %h %p %r")
    assert ssh_config.proxy_words(ssh_config.parse("x", answer)) == "nc -X % h 23 u"


def test_a_home_of_a_user_that_is_not_here_stays_as_it_is_written():
    """ssh itself finds no such file then."""
    answer = ANSWER.replace("~/.ssh/id_ed25519", "~nobody-here/id").replace("/home/asha/.ssh/known_hosts2", "~no-one/k")
    host = ssh_config.parse("iitd", CommandResult(0, answer))
    assert host.identities[0] == Path("~nobody-here/id")
    assert host.known_hosts[-1] == Path("~no-one/k")


@pytest.mark.parametrize("port", ["nan", "-1", "22 22", "9" * 5000])
def test_a_port_that_is_none_is_an_error(port: str):
    with pytest.raises(TransportError, match="as the port of 'iitd', which must be a number"):
        ssh_config.parse("iitd", CommandResult(0, ANSWER.replace("2222", port)))
