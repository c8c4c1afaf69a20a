"""How much memory this machine has."""

import os
from functools import cache


@cache
def physical() -> int:
    """Bytes, all users' and programs' together."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
