"""How large pictures may be, as the environment tells OpenCV, which reads it once, when it is loaded.

What it cannot read ends the process there and then: such a value is taken away before, and told of when a picture is to
be decoded.
"""

import os
import re

from engine.errors import DataError
from engine.host import memory

PIXELS = "OPENCV_IO_MAX_IMAGE_PIXELS"
_READ = re.compile(r"[0-9]{1,18}(MB|Mb|mb|KB|Kb|kb|)")
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20}

_wrong: dict[str, str] = {}


def set_for_opencv() -> None:
    """Before OpenCV is loaded: a picture that says to have more pixels than memory is for is not decoded."""
    for name in (PIXELS, "OPENCV_IO_MAX_IMAGE_WIDTH", "OPENCV_IO_MAX_IMAGE_HEIGHT"):
        if name in os.environ and not _READ.fullmatch(os.environ[name]):
            _wrong[name] = os.environ.pop(name)
    # A pixel's colours and their float32 values take 15 bytes.
    os.environ.setdefault(PIXELS, str(min(1 << 30, memory.limit() // 16)))


def most_pixels() -> int:
    """How many pixels a picture may have. Raises DataError where the environment says a limit in other words."""
    for name, given in _wrong.items():
        raise DataError(f"is not decoded: the environment's {name} is {given!r}; it takes a whole number, as {1 << 30}")
    given = os.environ[PIXELS]
    number = given.rstrip("MBKmbk")
    return int(number) * _FACTORS[given[len(number) :][:1].lower()]
