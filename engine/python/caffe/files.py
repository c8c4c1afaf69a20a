"""The names of files, as Caffe's Python interface takes them."""

import os
from typing import Any, TypeGuard

from .errors import ArgumentError

File = str | bytes | os.PathLike[str]
"""A file's name. Bytes too, as Caffe's C++ has them: programs write `path.encode("utf-8")` for Python 2's sake."""


def is_name(given: Any) -> TypeGuard[File]:
    """Whether it is of a kind that names a file."""
    return isinstance(given, str | bytes | os.PathLike)


def named(given: Any, call: str) -> str:
    """The name as text. Raises ArgumentError, which begins with `call`, for what is none."""
    if is_name(given):
        return os.fsdecode(given)
    raise ArgumentError(
        f"{call} takes the name of a file, and this is {type(given).__name__}: what is in memory is written first, "
        "open(FILE, 'w').write(str(PROTO))."
    )
