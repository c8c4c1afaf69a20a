"""Python's garbage collector while modules are loaded: what they make stays, and is no garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside, and later ones pass by what is there at the end.

    Loading JAX makes half a million objects, and to look through them again and again took a fifth of the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()
