"""Talks with a command: feeds it, hears both its streams, and gives it up once it has been silent for too long."""

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
"""Seconds of silence after which most commands are given up: with a scheduler or a file system that hangs they would
never answer."""

SLOWEST = 10 * 2**20
"""Bytes a second that a file system is read with at least."""

TIMES = 5
"""How many times `idle_timeout` a command gets in all: one that says a byte now and then would go on for ever."""

RATE = 2**10
"""Bytes each of which earns it 1/RATE s more: whatever moves so fast goes on."""

MOST = 128 * 2**20
"""Bytes that a command may say: they are kept in memory."""

CUT, SILENT, SLOW, ENDLESS = -1, -2, -3, -4
"""In place of the exit status of a command whose line broke, and of one that was given up: as it said nothing, as it
did not come to an end, and as it said too much."""

GIVEN_UP = (SILENT, SLOW, ENDLESS)

PIECE = 2**15  # bytes that are sent at a time: each is a sign of life, on a slow line too
NAMED = 120  # letters of a command that a message shows
GRACE = 2.0  # seconds from SIGTERM to SIGKILL


def read_timeout(size: int) -> float:
    """For a command that reads so many bytes before it says a word, as sha256sum."""
    return IDLE_TIMEOUT + size / SLOWEST


def named(command: Sequence[str]) -> str:
    """A command as a message names it: on one line, and not too long. A script that says what it does by its `$0`, as
    `sh -c SCRIPT qsub`, is called so."""
    if list(command[1:2]) == ["-c"] and command[3:] and command[3] != command[0]:
        command = command[3:]
    words = " ".join(shlex.join(command).split())
    return f"`{words if len(words) <= NAMED else words[: NAMED - 1] + '…'}`"


@dataclass(frozen=True)
class CommandOutput:
    """What a command has said so far, and how many bytes that may come to. `lasting`: it goes on for as long as it is
    fed, as one that answers questions, and only silence ends it."""

    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    most: int = MOST
    lasting: bool = False

    @property
    def full(self) -> bool:
        return len(self.out) + len(self.err) > self.most


@dataclass(frozen=True)
class Line:
    """The way to a command that runs. `send` takes some of the bytes and says how many; `out` and `err` give the next
    ones, and none at the end."""

    send: Callable[[bytes], int]
    end: Callable[[], None]
    out: Callable[[], bytes]
    err: Callable[[], bytes]


class _Clock:
    """How long nothing has gone either way, and how long it has all taken."""

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
        """Why a command whose time is over was given up."""
        return SLOW if time.monotonic() >= self._end else SILENT


def talk(line: Line, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int | None:
    """Feeds and hears a command to its end; or gives SILENT, SLOW or ENDLESS, for one that it gave up.

    Each stream has a thread of its own, as a full one would hold up the others.
    """
    clock = _Clock(idle_timeout, lasting=output.lasting)

    def hear(stream: Callable[[], bytes], said: bytearray) -> None:
        while not output.full and (piece := stream()):
            said.extend(piece)
            clock.moved(len(piece))

    def feed() -> None:
        # A command may end without reading all that it is sent: its exit status says more than the broken pipe.
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
    threads = [threading.Thread(target=what, args=how, daemon=True) for what, *how in work]
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
    """Runs a command on this machine, and gives its exit status, or what `talk` gives. What is given up is ended, with
    all that it has started. Raises OSError where it cannot be run."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    given, out, err = process.stdin, process.stdout, process.stderr
    line = Line(
        lambda data: os.write(given.fileno(), data),
        given.close,
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
    """One that waits for a dead file system cannot be ended, and is not waited for."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return
