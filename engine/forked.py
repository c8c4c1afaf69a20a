"""Processes forked off one in which JAX works, since a net has run or a GPU was asked for.

JAX's threads are not in them, and what they compute never ends.
"""

import os

from engine.errors import NetError

_ran = _forked = False


def check() -> None:
    """Before JAX begins to work. Raises NetError where it would never end."""
    global _ran  # noqa: PLW0603  of the process, as what it tells of is
    if _forked:
        raise NetError(
            "this process was forked off one that had run a net or asked for a GPU, and no net can run in it. Start it "
            'before the first net runs and before set_mode_gpu, or by multiprocessing.get_context("spawn").'
        )
    _ran = True


def _note() -> None:
    global _forked  # noqa: PLW0603
    _forked = _forked or _ran


os.register_at_fork(after_in_child=_note)
