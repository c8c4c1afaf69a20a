"""A full disk, or an exhausted quota: how commands and systems report it, and what to do."""

import re

FULL = re.compile(r"No space left on device|[Qq]uota exceeded|disk is full")

REMOTE = "Free some space there: hpcbrew fetch what you need, then hpcbrew rm or clean, and clean --data"
LOCAL = "Free some space on this machine, and try again"


def remedy(words: str | None, do: str = REMOTE) -> str:
    """Returns advice to append to a message of a command or of the system, if that message is about a full disk."""
    return f". {do}" if words and FULL.search(words) else ""
