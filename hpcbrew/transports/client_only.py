"""Detects what only ssh itself can do, and paramiko cannot."""

from hpcbrew.errors import TransportError
from hpcbrew.transports.ssh_config import SshHost


class ClientOnly(TransportError):
    """The login needs something that paramiko lacks, named by `feature`: the system's ssh must be used."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"paramiko cannot do this: {feature}. Put `transport: openssh` into the profile")
        self.feature = feature


def check(host: SshHost) -> None:
    """Raises ClientOnly if a host's configuration has something that only ssh can honour."""
    if host.client_only:
        raise ClientOnly(f"the option {host.client_only}")
    for path in host.identities:
        if path.with_name(f"{path.name}-cert.pub").exists():
            raise ClientOnly(f"the certificate {path}-cert.pub")
