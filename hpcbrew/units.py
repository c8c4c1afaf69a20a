"""Times and sizes, as written by PBS and by people."""

import re

# Limits the digits: int() would refuse thousands of them with a message of its own.
_CLOCK = re.compile(r"\d{1,15}(:\d{1,2}){0,3}")
_SPAN = re.compile(r"(?:(?P<d>\d{1,15})d)?(?:(?P<h>\d{1,15})h)?(?:(?P<m>\d{1,15})m)?(?:(?P<s>\d{1,15})s)?")
_SIZE = re.compile(r"(?P<number>\d{1,18})\s*(?P<unit>[kmgtp]?)(?:(?<=[kmgtp])i(?=b))?(?P<word>[bw]?)", re.IGNORECASE)
_POWERS = " kmgtp"
FOREVER = 5 * 365 * 24 * 3600
"""Seconds that PBS's scheduler assumes for a job without a walltime (JOB_INFINITY, src/scheduler/constant.h)."""


def seconds(text: str | int) -> int:
    """Parses `90` (seconds), `MM:SS`, `HH:MM:SS`, `DD:HH:MM:SS` (as PBS does), or `1d12h`, `30m`, into seconds.

    Raises ValueError for anything else, and for a time of 0.
    """
    text = str(text).strip()
    total = 0
    if _CLOCK.fullmatch(text):
        for part, base in zip(reversed(text.split(":")), (1, 60, 3600, 86400), strict=False):
            total += int(part) * base
    elif span := _SPAN.fullmatch(text.lower()):
        total = sum(int(span[unit] or 0) * base for unit, base in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)))
    if total <= 0:
        raise ValueError(f"{text!r} is not a valid duration: write HH:MM:SS, 12h or 90m")
    return total


def asked_time(text: str) -> int:
    """Parses a time that a person requests: as `seconds`, but refuses ambiguous ones.

    PBS reads `90` as seconds and `1:30` as a minute and a half, but people who write these usually mean more. Raises
    ValueError for them, saying how to write each meaning, and for more than FOREVER.
    """
    text = text.strip()
    if text.isdecimal() and text.strip("0"):
        raise ValueError(f"{text} of what? Write {text}h, {text}m or {text}s")
    if re.fullmatch(r"\d+:\d{1,2}", text):
        raise ValueError(f"{text} can be hours or minutes. Write {text}:00 for hours and minutes, 0:{text} for minutes")
    total = seconds(text)
    if total > FOREVER:
        raise ValueError(f"{text} is more than 5 years, which PBS takes as unlimited: at most {clock(FOREVER)}")
    return total


def clock(total: float) -> str:
    """Formats seconds as `HH:MM:SS`; hours may exceed 24, as in PBS."""
    minutes, secs = divmod(int(total), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{secs:02d}"


def span(total: float) -> str:
    """Formats seconds for people, in the two largest units: `25s`, `12m05s`, `3h20m`, `2d04h`."""
    rest = int(total)
    parts: list[str] = []
    for unit, base in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, base)
        if number or parts or unit == "s":
            parts.append(f"{number:02d}{unit}" if parts else f"{number}{unit}")
    return "".join(parts[:2])


def size(text: str | int) -> int:
    """Parses `24G`, `90GB`, `24 GiB`, `512mb`, `1024` (PBS's units: powers of 1024) into bytes.

    Raises ValueError for anything else.
    """
    match = _SIZE.fullmatch(str(text).strip())
    if not match or match["word"].lower() == "w" or int(match["number"]) == 0:
        raise ValueError(f"{str(text)!r} is not a valid size: write 24G or 512mb")
    return int(match["number"]) << 10 * _POWERS.index(match["unit"].lower() or " ")


def asked_size(text: str) -> int:
    """Parses a size that a person requests: as `size`, but refuses a bare number. Raises ValueError."""
    text = text.strip()
    if text.isdecimal() and text.strip("0"):
        raise ValueError(f"{text} of what? Write {text}G or {text}M")
    return size(text)


def pbs_size(number: int) -> str:
    """Formats a size in the largest of PBS's units that represents it exactly: `24gb`."""
    power = 0
    while number % 1024 == 0 and power < len(_POWERS) - 1 and number:
        number, power = number // 1024, power + 1
    return f"{number}{_POWERS[power].strip()}b"


def count(number: int, noun: str) -> str:
    """Returns `1 node`, `2 nodes` and so on."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
