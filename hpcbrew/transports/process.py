"""Talks with a command: feeds it, hears both its streams, and gives it up once it has been silent for too long."""

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

IDLE_TIMEOUT = 60.0
"""Seconds of silence after which most commands are given up: with a scheduler or a file system that hangs they would
never answer."""

SLOWEST = 10 * 2**20
"""Bytes a second that a file system is read with at least."""

CUT, SILENT = -1, -2
"""In place of the exit status of a command whose line broke, and of one that was given up."""

PIECE = 2**15  # bytes that are sent at a time: each is a sign of life, on a slow line too
NAMED = 120  # letters of a command that a message shows
GRACE = 2.0  # seconds from SIGTERM to SIGKILL


def read_timeout(size: int) -> float:
    """For a command that reads so many bytes before it says a word, as sha256sum."""
    return IDLE_TIMEOUT + size / SLOWEST


def named(command: Sequence[str]) -> str:
    """A command as a message names it: on one line, and not too long."""
    words = " ".join(shlex.join(command).split())
    return f"`{words if len(words) <= NAMED else words[: NAMED - 1] + '…'}`"


@dataclass(frozen=True)
class CommandOutput:
    """What a command has said so far."""

    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class Line:
    """The way to a command that runs. `send` takes some of the bytes and says how many; `out` and `err` give the next
    ones, and none at the end."""

    send: Callable[[bytes], int]
    end: Callable[[], None]
    out: Callable[[], bytes]
    err: Callable[[], bytes]


class _Silence:
    """How long nothing has gone either way."""

    def __init__(self, idle_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self.broken()

    def broken(self) -> None:
        self._since = time.monotonic()

    @property
    def left(self) -> float:
        return self._since + self._idle_timeout - time.monotonic()


def talk(line: Line, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> bool:
    """Feeds and hears a command to its end; False where nothing went either way for `idle_timeout` seconds.

    Each stream has a thread of its own, as a full one would hold up the others.
    """
    silence = _Silence(idle_timeout)

    def hear(stream: Callable[[], bytes], said: bytearray) -> None:
        while piece := stream():
            said.extend(piece)
            silence.broken()

    def feed() -> None:
        # A command may end without reading all that it is sent: its exit status says more than the broken pipe.
        with contextlib.suppress(OSError, EOFError):
            try:
                for data in stdin:
                    rest = memoryview(data)
                    while rest:
                        rest = rest[line.send(bytes(rest[:PIECE])) :]
                        silence.broken()
            finally:
                line.end()

    work = ((hear, line.out, output.out), (hear, line.err, output.err), (feed,))
    threads = [threading.Thread(target=what, args=how, daemon=True) for what, *how in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            if silence.left <= 0:
                return False
            thread.join(silence.left)
    return True


def with_process(
    command: Sequence[str],
    stdin: Iterable[bytes],
    output: CommandOutput,
    idle_timeout: float,
    folder: PurePosixPath | None = None,
) -> int:
    """Runs a command on this machine, and gives its exit status, or `SILENT`. What is given up is ended, with all that
    it has started. Raises OSError where it cannot be run."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
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
        if talk(line, stdin, output, idle_timeout):
            status = process.wait(idle_timeout)
            out.close()
            err.close()
            return status
    except subprocess.TimeoutExpired:
        pass
    except BaseException:
        _end(process)
        raise
    _end(process)
    return SILENT


def _end(process: "subprocess.Popen[bytes]") -> None:
    """One that waits for a dead file system cannot be ended, and is not waited for."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return
