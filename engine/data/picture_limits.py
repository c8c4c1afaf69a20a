"""How large pictures may be: limits in the environment, which OpenCV reads once, when it is loaded.

A value that OpenCV cannot read would end the process there and then, so such a value is removed before, and reported
when a picture is to be decoded.
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
    """To be called before OpenCV is loaded: sets a limit, so that pictures too large for memory are not decoded."""
    for name in (PIXELS, "OPENCV_IO_MAX_IMAGE_WIDTH", "OPENCV_IO_MAX_IMAGE_HEIGHT"):
        if name in os.environ and not _READ.fullmatch(os.environ[name]):
            _wrong[name] = os.environ.pop(name)
    # A pixel's colours and their float32 values take 15 bytes.
    os.environ.setdefault(PIXELS, str(min(1 << 30, memory.limit() // 16)))


def most_pixels() -> int:
    """How many pixels a picture may have. Raises DataError if a limit in the environment is malformed."""
    for name, setting in _wrong.items():
        raise DataError(
            f"is not decoded: the environment variable {name} is {setting!r}; give it a whole number, such as {1 << 30}"
        )
    setting = os.environ[PIXELS]
    number = setting.rstrip("MBKmbk")
    return int(number) * _FACTORS[setting[len(number) :][:1].lower()]
