"""How many cores there are to compute with. Imports nothing: the submitter asks too."""

import os


def usable() -> int:
    """As NPROC says, which XLA heeds and the job script sets; else those that this process may use, or all where the
    system does not tell (macOS)."""
    given = os.environ.get("NPROC", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
