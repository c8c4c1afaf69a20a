"""Processes forked off one in which a net has run: JAX's threads are not in them, and what they compute never ends."""

import os

from engine.errors import NetError

_ran = _forked = False


def check() -> None:
    """Before a net runs. Raises NetError where it would never end."""
    global _ran  # noqa: PLW0603  of the process, as what it tells of is
    if _forked:
        raise NetError(
            "this process was forked off one that had run a net, and no net can run in it. Start it before the first "
            'net runs, or by multiprocessing.get_context("spawn").'
        )
    _ran = True


def _note() -> None:
    global _forked  # noqa: PLW0603
    _forked = _forked or _ran


os.register_at_fork(after_in_child=_note)
