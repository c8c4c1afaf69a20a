"""Chooses the transport to a cluster by its address."""

import sys
from contextlib import suppress
from functools import partial

from engine.printable import printable
from hpcbrew.address import Address
from hpcbrew.errors import ProfileError
from hpcbrew.transports import side_by_side
from hpcbrew.transports.base import Transport
from hpcbrew.transports.local import Local


def connect(address: Address) -> Transport:
    """Returns the transport to a cluster. It connects when first used."""
    if address.transport == "local":
        return Local()
    assert address.host is not None, address  # the profile was checked
    if address.transport == "openssh":
        from hpcbrew.transports import openssh  # noqa: PLC0415

        by_client = openssh.OpenSsh(address.host, attended=openssh.attended())
        by_client.say = _say
        return by_client
    from hpcbrew.transports.paramiko_ssh import Ssh  # noqa: PLC0415
    from hpcbrew.transports.prompt import prompter  # noqa: PLC0415 - paramiko is slow to import, and not needed for this machine

    transport = Ssh(address.host, prompter())
    transport.say = _say
    transport.access = partial(_access, address.cluster)
    return transport


def _access(cluster: str) -> str:
    """Returns what the profile says about how to reach the cluster; empty if the profile no longer exists."""
    from hpcbrew.clusters import profiles  # noqa: PLC0415 - slow to import, and for a message alone

    with suppress(ProfileError):
        return profiles.load(cluster).access
    return ""


def _say(words: str) -> None:
    """Says on standard error what is being waited for, but not between a question and its answer."""
    side_by_side.tell(lambda: print(f"hpcbrew: {printable(words)}", file=sys.stderr, flush=True))
