"""A full disk, or a quota that is used up: how commands and systems say so, and what to do."""

import re

FULL = re.compile(r"No space left on device|[Qq]uota exceeded|disk is full")

REMOTE = "Make room there: hpcbrew fetch what you need, then take old folders below runs/ and data/ away"
LOCAL = "Make room on this machine, and try again"


def remedy(words: str | None, do: str = REMOTE) -> str:
    """To be put after these words of a command or of the system; nothing where they tell of something else."""
    return f". {do}" if words and FULL.search(words) else ""
