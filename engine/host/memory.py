"""How much memory a process may have here, so that larger requests can be refused with a message beforehand."""

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
    """The machine's total memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def limit() -> int:
    """The smallest, in bytes, of the machine's memory, the job's (its cgroups'), and `ulimit -v` and `-d`."""
    ulimits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min([physical(), *(bound for bound in ulimits if bound != resource.RLIM_INFINITY), *_cgroup_limits()])


def peak() -> int:
    """The peak of this process's resident memory, in bytes: getrusage counts bytes on macOS, and KiB elsewhere."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def saving_advice(dashes: str) -> str:
    """Advice on training with less memory. dashes: how a flag begins."""
    return f"a smaller batch_size, with iter_size to make up for it, or {dashes}precision bfloat16"


def lacking(size: int) -> str | None:
    """None if `size` bytes are available; else the predicate of a sentence that says so, whose subject asks for them:
    "takes 46.8 TiB of memory, but only 23.6 GiB are available"."""
    if size <= limit():
        return None
    return f"takes {short_size(size)} of memory, but only {short_size(limit())} are available"


def return_free() -> None:
    """Returns freed memory between blocks in use to the system; only with glibc."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _cgroup_limits() -> list[int]:
    """The memory limits in bytes of the process's control groups (both versions) and of those that contain them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (_CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (_CGROUPS, "memory.max")
        group = Path(path.lstrip("/"))
        for each in (group, *group.parents):
            try:
                limits.append(int((root / each / name).read_text()))
            except (OSError, ValueError):  # "max", or a group that is not visible inside a container
                continue
    return limits
