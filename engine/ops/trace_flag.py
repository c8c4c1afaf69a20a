"""Flags that hold for what is traced within a block; JAX keeps separate traces for each value of a flag."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

_make_context = getattr(jax, "make_user_context", None)


class TraceFlag:
    """Is up within `raised`. Older versions of JAX have no such context; there it is never up."""

    def __init__(self) -> None:
        self._context = _make_context(False) if _make_context else None

    @property
    def up(self) -> bool:
        return bool(self._context and self._context.value)

    @contextmanager
    def raised(self) -> Iterator[None]:
        if self._context is None:
            yield
            return
        with self._context(True):
            yield
