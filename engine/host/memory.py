"""How much memory a process may have here: what is larger is refused in words before it is asked for."""

import ctypes
import os
import platform
import resource
import sys
from functools import cache
from pathlib import Path

from engine.units import short_size

_CGROUPS = Path("/sys/fs/cgroup")


@cache
def physical() -> int:
    """Bytes that the machine has, all users' and programs' together."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def limit() -> int:
    """Bytes: the least of the machine's memory, the job's (its cgroup's), and `ulimit -v`."""
    asked = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min([physical(), *(bound for bound in asked if bound != resource.RLIM_INFINITY), *_cgroup_limits()])


def peak() -> int:
    """The peak of this process's resident memory, in bytes: getrusage counts bytes on macOS, and KiB elsewhere."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def less(dashes: str) -> str:
    """What a training with less memory is asked for by; `dashes`: how a flag begins."""
    return f"a smaller batch_size, with iter_size to make up for it, or {dashes}precision bfloat16"


def lacking(size: int) -> str | None:
    """What is to be said where `size` bytes cannot be had; None where they can.

    The words go on from what asks for them: "takes 46.8 TiB of memory, and there are 23.6 GiB here".
    """
    return f"takes {short_size(size)} of memory, and there are {short_size(limit())} here" if size > limit() else None


def return_free() -> None:
    """Gives the system back what was freed and lies about among blocks in use, where the C library is glibc."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _cgroup_limits() -> list[int]:
    """What the process's control groups allow, of both versions of them; a group is bound by those it lies in, too."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (_CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (_CGROUPS, "memory.max")
        group = Path(path.lstrip("/"))
        for each in (group, *group.parents):
            try:
                found.append(int((root / each / name).read_text()))
            except (OSError, ValueError):  # "max", or a group that is not to be seen from inside a container
                continue
    return found
