"""Times and sizes as PBS and people write them."""

import re

# More digits than any time or size has are none: int() itself refuses thousands of them, in words of its own.
_CLOCK = re.compile(r"\d{1,15}(:\d{1,2}){0,3}")
_SPAN = re.compile(r"(?:(?P<d>\d{1,15})d)?(?:(?P<h>\d{1,15})h)?(?:(?P<m>\d{1,15})m)?(?:(?P<s>\d{1,15})s)?")
_SIZE = re.compile(r"(?P<number>\d{1,18})\s*(?P<unit>[kmgtp]?)(?:(?<=[kmgtp])i(?=b))?(?P<word>[bw]?)", re.IGNORECASE)
_POWERS = " kmgtp"
FOREVER = 5 * 365 * 24 * 3600
"""Seconds that PBS's scheduler plans for a job that names no walltime (JOB_INFINITY, src/scheduler/constant.h)."""


def seconds(text: str | int) -> int:
    """Seconds in `90` (seconds), `MM:SS`, `HH:MM:SS`, `DD:HH:MM:SS` (as PBS reads them), or `1d12h`, `30m`.

    Raises ValueError for anything else, and for no time at all.
    """
    text = str(text).strip()
    total = 0
    if _CLOCK.fullmatch(text):
        for part, base in zip(reversed(text.split(":")), (1, 60, 3600, 86400), strict=False):
            total += int(part) * base
    elif span := _SPAN.fullmatch(text.lower()):
        total = sum(int(span[unit] or 0) * base for unit, base in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)))
    if total <= 0:
        raise ValueError(f"{text!r} is not a valid length of time: write HH:MM:SS, or 12h, or 90m")
    return total


def asked_time(text: str) -> int:
    """Seconds in what a person asks for: as `seconds`, but for what would be taken for something else.

    PBS reads `90` as seconds and `1:30` as a minute and a half, and whoever writes them mostly means more. Raises
    ValueError for these, with the ways to write each meaning, and for more than FOREVER.
    """
    text = text.strip()
    if text.isdecimal() and text.strip("0"):
        raise ValueError(f"{text} of what? Write {text}h, {text}m or {text}s")
    if re.fullmatch(r"\d+:\d{1,2}", text):
        raise ValueError(f"{text} can be hours or minutes. Write {text}:00 for hours and minutes, 0:{text} for minutes")
    total = seconds(text)
    if total > FOREVER:
        raise ValueError(f"{text} is more than 5 years, which PBS takes for without end: {clock(FOREVER)} at most")
    return total


def clock(total: float) -> str:
    """`HH:MM:SS` of a number of seconds; hours go past 24, as PBS writes them."""
    minutes, secs = divmod(int(total), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{secs:02d}"


def span(total: float) -> str:
    """A number of seconds as a person says it, in its two largest units: `25s`, `12m05s`, `3h20m`, `2d04h`."""
    rest = int(total)
    parts: list[str] = []
    for unit, base in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, base)
        if number or parts or unit == "s":
            parts.append(f"{number:02d}{unit}" if parts else f"{number}{unit}")
    return "".join(parts[:2])


def size(text: str | int) -> int:
    """Bytes in `24G`, `90GB`, `24 GiB`, `512mb`, `1024` (PBS's units: powers of 1024).

    Raises ValueError for anything else.
    """
    match = _SIZE.fullmatch(str(text).strip())
    if not match or match["word"].lower() == "w" or int(match["number"]) == 0:
        raise ValueError(f"{str(text)!r} is not a valid size: write 24G or 512mb")
    return int(match["number"]) << 10 * _POWERS.index(match["unit"].lower() or " ")


def asked_size(text: str) -> int:
    """Bytes in what a person asks for: as `size`, but a number alone is none. Raises ValueError."""
    text = text.strip()
    if text.isdecimal() and text.strip("0"):
        raise ValueError(f"{text} of what? Write {text}G or {text}M")
    return size(text)


def pbs_size(number: int) -> str:
    """A size in the largest of PBS's units that holds it exactly: `24gb`."""
    power = 0
    while number % 1024 == 0 and power < len(_POWERS) - 1 and number:
        number, power = number // 1024, power + 1
    return f"{number}{_POWERS[power].strip()}b"


def count(number: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
