"""The protocol by which a timed process answers `scripts/bench`, the same for every engine. Uses only the standard
library."""

import ctypes
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[[int], None]


def say(value: Any) -> None:
    """Writes one line of JSON to the process that asks."""
    print(json.dumps(value), flush=True)


def answer(run: Run, seconds: float, memory: "Memory") -> None:
    """Reports when `run(1)` is done and when the process is warm, then answers each line of stdin.

    The answer to "memory" is the repetitions' peak memory in bytes, or null; to any other line, the milliseconds of one
    repetition, measured over about `seconds`.
    """
    run(1)
    say("first")
    memory.begin()
    run(3)
    n = 1
    while (elapsed := seconds_of(run, n)) < seconds / 4:
        n *= 2
    n = max(1, round(n * seconds / elapsed))
    say("ready")
    for line in sys.stdin:
        say(memory.peak() if line.strip() == "memory" else seconds_of(run, n) / n * 1e3)


def seconds_of(run: Run, n: int) -> float:
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start


class Memory:
    """The process's peak resident memory since `begin`, beyond what it used when this object was made.

    If Linux does not allow the peak to be reset, it includes the memory used for compiling.
    """

    def __init__(self) -> None:
        self._baseline = _status("VmRSS")

    def begin(self) -> None:
        """Returns memory freed after compiling to the system, and resets the peak."""
        try:
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
        except (OSError, AttributeError):
            return

    def peak(self) -> float | None:
        lifetime_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS, and else in KiB
        peak = _status("VmHWM") or lifetime_peak * (1 if sys.platform == "darwin" else 1024)
        return peak - self._baseline


def _status(name: str) -> int:
    """A value in bytes from /proc/self/status; 0 if that does not exist."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
