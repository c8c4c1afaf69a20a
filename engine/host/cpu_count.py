"""The number of cores to compute with. Imports nothing heavy: the submitter uses it too."""

import os


def usable() -> int:
    """NPROC, if set: XLA heeds it, and the job script sets it. Otherwise the number of cores that this process may use,
    or all of them where the system does not say (macOS)."""
    setting = os.environ.get("NPROC", "")
    if setting.isdecimal() and int(setting):
        return int(setting)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
