"""What runs in a process of its own and answers `scripts/bench`: how it is asked, for every engine alike. Needs no
package."""

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
    """One line of JSON to who asks."""
    print(json.dumps(value), flush=True)


def answer(run: Run, seconds: float, memory: "Memory") -> None:
    """Says when `run(1)` is done, and when it is warm; then answers each line of stdin.

    "memory" with the bytes that repetitions take at their peak, or null; any other with the milliseconds of one
    repetition, measured over about `seconds`.
    """
    run(1)
    say("first")
    memory.begin()
    run(3)
    n = 1
    while (taken := seconds_of(run, n)) < seconds / 4:
        n *= 2
    n = max(1, round(n * seconds / taken))
    say("ready")
    for line in sys.stdin:
        say(memory.peak() if line.strip() == "memory" else seconds_of(run, n) / n * 1e3)


def seconds_of(run: Run, n: int) -> float:
    started = time.perf_counter()
    run(n)
    return time.perf_counter() - started


class Memory:
    """What a process takes beyond what it took when this was made, compiling left out: its resident memory.

    Where Linux does not let the peak be reset, that of compiling is in it.
    """

    def __init__(self) -> None:
        self._before = _status("VmRSS")

    def begin(self) -> None:
        """Gives back what compiling left free, and forgets the peak."""
        try:
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
        except (OSError, AttributeError):
            return

    def peak(self) -> float | None:
        found = _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return found - self._before


def _status(name: str) -> int:
    """Bytes, by /proc; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
