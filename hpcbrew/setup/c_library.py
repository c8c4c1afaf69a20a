"""Checks the C library of a cluster: JAX's wheels need a certain glibc, whichever Python they are installed into."""

import re
from pathlib import PurePosixPath

from hpcbrew.errors import TransportError
from hpcbrew.transports.base import Transport

OLDEST = (2, 27)
"""The glibc that the wheels of jaxlib 0.8 and later need (manylinux_2_27). RHEL 8 has 2.28, CentOS 7 only 2.17."""

ASK = ("getconf", "GNU_LIBC_VERSION")
_GLIBC = re.compile(r"^glibc ([0-9]{1,3})\.([0-9]{1,3})\b", re.MULTILINE)


def check(transport: Transport, cluster: str) -> None:
    """Raises TransportError if the cluster's glibc is too old for the engine. A system that reports no glibc version is
    left to pip."""
    glibc = _GLIBC.search(transport.run(ASK, PurePosixPath("/"), idempotent=True).out)
    if glibc and (int(glibc[1]), int(glibc[2])) < OLDEST:
        raise TransportError(
            f"{cluster}: its operating system is too old for the engine: it has {glibc[0]}, and JAX needs "
            f"{OLDEST[0]}.{OLDEST[1]} or later, as in RHEL 8 or Ubuntu 18.04. Ask the site for nodes with a newer "
            "system, or train with the site's own Caffe: hpcbrew submit --engine module"
        )
