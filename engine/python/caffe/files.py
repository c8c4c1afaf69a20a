"""File names, in the forms that Caffe's Python interface accepts."""

import os
from typing import Any, TypeGuard

from .errors import ArgumentError

File = str | bytes | os.PathLike[str]
"""A file's name. Bytes are accepted because Python 2 programs pass `path.encode("utf-8")` to Caffe's C++."""


def is_name(given: Any) -> TypeGuard[File]:
    """Whether `given` has a type that can name a file."""
    return isinstance(given, str | bytes | os.PathLike)


def named(given: Any, call: str) -> str:
    """The name as a str. Raises ArgumentError, which begins with `call`, for other types."""
    if is_name(given):
        return os.fsdecode(given)
    raise ArgumentError(
        f"{call} takes the name of a file, not {type(given).__name__}: write what is in memory to a file first, "
        "open(FILE, 'w').write(str(PROTO))."
    )
