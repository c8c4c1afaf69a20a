"""Communicates with a command: feeds it, reads both its streams, and gives it up when it has been silent too long."""

import contextlib
import math
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

IDLE_TIMEOUT = 60.0
"""Seconds of silence after which most commands are given up: if a scheduler or a file system hangs, they would never
answer."""

SLOWEST = 10 * 2**20
"""The slowest assumed speed of a file system, in bytes per second."""

TIMES = 5
"""The total time for a command, in multiples of `idle_timeout`: one that prints a byte now and then would never end."""

RATE = 2**10
"""Each byte extends that time by 1/RATE s, so that a command which transfers RATE bytes per second may go on."""

MOST = 128 * 2**20
"""The most bytes that a command may print, since they are kept in memory."""

CUT, SILENT, SLOW, ENDLESS = -1, -2, -3, -4
"""Stand for the exit status of a command whose connection broke, and of one that was given up because it was silent,
did not end, or printed too much."""

GIVEN_UP = (SILENT, SLOW, ENDLESS)

PIECE = 2**15  # bytes sent at a time: each piece counts as a sign of life, also on a slow line
NAMED = 120  # the most characters of a command in a message
GRACE = 2.0  # seconds from SIGTERM to SIGKILL


def read_timeout(size: int) -> float:
    """Returns the idle timeout for a command that reads `size` bytes before it prints anything, such as sha256sum."""
    return IDLE_TIMEOUT + size / SLOWEST


def named(command: Sequence[str]) -> str:
    """Returns a command as messages show it: on one line, and not too long. A script whose `$0` says what it does, such
    as `sh -c SCRIPT qsub`, is named by that."""
    if list(command[1:2]) == ["-c"] and command[3:] and command[3] != command[0]:
        command = command[3:]
    words = " ".join(shlex.join(command).split())
    return f"`{words if len(words) <= NAMED else words[: NAMED - 1] + '…'}`"


@dataclass(frozen=True)
class CommandOutput:
    """What a command has printed so far, and the most bytes that it may print. `lasting`: it runs as long as it is fed,
    like one that answers requests, and only silence ends it."""

    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    most: int = MOST
    lasting: bool = False

    @property
    def full(self) -> bool:
        return len(self.out) + len(self.err) > self.most


@dataclass(frozen=True)
class Line:
    """The connection to a running command. `send` takes some of the bytes and returns how many; `out` and `err` return
    the next bytes, and none at the end."""

    send: Callable[[bytes], int]
    end: Callable[[], None]
    out: Callable[[], bytes]
    err: Callable[[], bytes]


class _Clock:
    """Measures how long nothing has moved either way, and how long it has taken in all."""

    def __init__(self, idle_timeout: float, *, lasting: bool) -> None:
        self._idle_timeout = idle_timeout
        self._since = time.monotonic()
        self._end = math.inf if lasting else self._since + TIMES * idle_timeout

    def moved(self, count: int) -> None:
        self._since = time.monotonic()
        self._end += count / RATE

    @property
    def left(self) -> float:
        return min(self._since + self._idle_timeout, self._end) - time.monotonic()

    @property
    def verdict(self) -> int:
        """Why a command whose time is up was given up."""
        return SLOW if time.monotonic() >= self._end else SILENT


def talk(line: Line, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int | None:
    """Feeds a command and reads its output to the end; returns SILENT, SLOW or ENDLESS if it gave the command up.

    Each stream has its own thread, since a full one would block the others.
    """
    clock = _Clock(idle_timeout, lasting=output.lasting)

    def hear(stream: Callable[[], bytes], buffer: bytearray) -> None:
        # A broken connection ends the stream. Whoever opened it knows from the missing exit status that it was cut.
        with contextlib.suppress(OSError, EOFError):
            while not output.full and (piece := stream()):
                buffer.extend(piece)
                clock.moved(len(piece))

    def feed() -> None:
        # A command may end without reading all its input: its exit status says more than the broken pipe.
        with contextlib.suppress(OSError, EOFError):
            try:
                for data in stdin:
                    rest = memoryview(data)
                    while rest:
                        sent = line.send(bytes(rest[:PIECE]))
                        rest = rest[sent:]
                        clock.moved(sent)
            finally:
                line.end()

    work = ((hear, line.out, output.out), (hear, line.err, output.err), (feed,))
    threads = [threading.Thread(target=target, args=arguments, daemon=True) for target, *arguments in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            if output.full:
                return ENDLESS
            if clock.left <= 0:
                return clock.verdict
            thread.join(clock.left)
    return ENDLESS if output.full else None


def with_process(
    command: Sequence[str],
    stdin: Iterable[bytes],
    output: CommandOutput,
    idle_timeout: float,
    folder: PurePosixPath | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Runs a command on this machine, and returns its exit status or what `talk` returns. A command that is given up is
    terminated, with all that it has started. Raises OSError if it cannot be run."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    pipe_in, out, err = process.stdin, process.stdout, process.stderr
    line = Line(
        lambda data: os.write(pipe_in.fileno(), data),
        pipe_in.close,
        lambda: os.read(out.fileno(), PIECE),
        lambda: os.read(err.fileno(), PIECE),
    )
    try:
        given_up = talk(line, stdin, output, idle_timeout)
        if given_up is None:
            status = process.wait(idle_timeout)
            out.close()
            err.close()
            return status
    except subprocess.TimeoutExpired:
        given_up = SILENT
    except BaseException:
        _end(process)
        raise
    _end(process)
    return given_up


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Terminates a process group. A process that waits for a dead file system cannot be killed, and is not waited
    for."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return
