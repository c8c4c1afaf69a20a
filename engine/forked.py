"""Detects processes forked from one that already uses JAX: one that has run a net or requested a GPU.

JAX's threads do not survive a fork, so a computation in such a process would hang.
"""

import os

from engine.errors import NetError

_ran = _forked = False


def check() -> None:
    """To be called before JAX is used. Raises NetError in a process where a computation would hang."""
    global _ran  # noqa: PLW0603  a fact about the whole process
    if _forked:
        raise NetError(
            "this process was forked from one that had run a net or requested a GPU, and no net can run in it. Start "
            'it before the first net runs and before set_mode_gpu, or with multiprocessing.get_context("spawn").'
        )
    _ran = True


def _note_fork() -> None:
    global _forked  # noqa: PLW0603
    _forked = _forked or _ran


os.register_at_fork(after_in_child=_note_fork)
