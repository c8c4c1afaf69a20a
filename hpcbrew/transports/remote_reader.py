"""Reads parts of remote files, one after another over one session: a login shell for each would cost the server more
than the reading."""

import contextlib
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import SupportsIndex

from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.transports import process
from hpcbrew.transports.base import FilePart
from hpcbrew.transports.login_shell import MarkedScript, as_text
from hpcbrew.transports.process import CommandOutput

Channel = Callable[[str, Iterable[bytes], CommandOutput, float], int]
"""As `RemoteShell._channel`."""

Attempts = Callable[[Callable[[int], FilePart | None]], FilePart | None]
"""As `retry.attempts`, for a step that may be repeated."""

BEAT = 2.0
"""Seconds between two heartbeats while there are no requests; sending them also detects that the other side has
gone."""

FAREWELL = 2.0
"""Seconds allowed for the end of a session."""

SLOWEST = 2**13
"""The lowest speed of a connection, in bytes per second, below which it is given up."""

AROUND = 2**16
"""The most bytes of an answer beyond the requested ones: what a site prints at login, and error messages."""

SCRIPT = r"""
while read -r start size unless; do
    [ "$start" ] || continue
    IFS= read -rd "" path || break
    if [ ! -e "$path" ]; then found=missing
    elif [ ! -f "$path" ]; then found=special
    elif ! { exec 4<"$path"; } 2>/dev/null; then found=$({ : <"$path"; } 2>&1)
    else
        found=$(stat -c %i:%Y:%s - <&4 2>&1)
        if [ "$size" -gt 0 ] && [ "$found" != "$unless" ] && [ "${found##*:}" -gt "$start" ]; then
            failed=$(dd bs=64K iflag=skip_bytes,count_bytes skip="$start" count="$size" status=none <&4 2>&1 >&5)
            found=$found${failed:+: $failed}
        fi
        exec 4<&-
    fi
    printf "\n%s %s\n" MARK "${found//[[:cntrl:]]/ }"
done 5>&1
"""
"""Each request is a line `START SIZE UNLESS` and a path that ends with NUL; empty lines before it are heartbeats. The
answer is the part of the file, and a line with the mark and what was found. The file is opened once, so that the whole
answer is about the same file. While nothing is new, a request costs the other side a single process, `stat`."""

FOUND = re.compile(r"\d+:-?\d+:(\d{1,19})")


class RemoteReader:
    """Starts a session at the first request, and another after a cut. For one thread.

    `attempts` connects, and repeats the step that it is given if that was cut off.
    """

    def __init__(
        self,
        destination: str,
        attempts: Attempts,
        channel: Channel,
    ) -> None:
        self._destination, self._attempts, self._channel = destination, attempts, channel
        self._session: _Session | None = None

    def read(self, path: PurePosixPath, start: int, size: int, unless: str = "") -> FilePart | None:
        """See `FileReader.read`."""
        return self._attempts(lambda _: self._read(path, start, size, unless))

    def close(self) -> None:
        """Ends the session. The next request starts another."""
        if self._session:
            self._session.close()
            self._session = None

    def _read(self, path: PurePosixPath, start: int, size: int, unless: str) -> FilePart | None:
        if self._session is None or self._session.ended:
            self.close()
            self._session = _Session(self._destination, self._channel)
        try:
            found, data = self._session.ask(path, start, size, unless)
        except BaseException:
            self.close()
            raise
        if found == "missing":
            return None
        if found == "special":
            raise TransportError(f"{path}: is not a regular file and is not read")
        match = FOUND.fullmatch(found)
        if match is None:
            reason = found.rpartition(": ")[2] or "for an unknown reason"
            raise TransportError(f"{path}: cannot be read on {self._destination}: {reason}")
        return FilePart(found, int(match[1]), data)


class _Session:
    """One run of `SCRIPT`, with threads of its own for input and output."""

    def __init__(self, destination: str, channel: Channel) -> None:
        mark = MarkedScript("").mark
        self._destination, self._channel = destination, channel
        self._script = MarkedScript(SCRIPT.replace("MARK", mark), mark)
        self._requests: queue.Queue[bytes | None] = queue.Queue()
        self._received = _Received()
        self._output = CommandOutput(out=self._received, lasting=True)
        self._status = process.CUT
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it can answer no more requests."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Closes the input, at which the other side ends. If it is stuck, it is terminated without waiting."""
        self._requests.put(None)
        self._thread.join(FAREWELL)
        if self._thread.is_alive() and (ending := self._script.ending(CommandOutput(self._received.greeting))):
            threading.Thread(target=self._end, args=(ending,), daemon=True).start()

    def ask(self, path: PurePosixPath, start: int, size: int, unless: str) -> tuple[str, bytes]:
        """Returns what was found, in the words of `SCRIPT`, and the part of the file. Raises TransportError."""
        self._requests.put(f"{start} {size} {unless}\n".encode() + os.fsencode(path) + b"\0")
        patience = process.IDLE_TIMEOUT + size / SLOWEST
        end, mark = time.monotonic() + patience, self._script.mark.encode()
        with self._received.changed:
            while (answer := self._received.answer(mark)) is None:
                remaining = end - time.monotonic()
                if self._received.ended:
                    raise self._broken()
                if remaining <= 0:
                    raise Unanswered(self._destination, f"reading {path}", patience)
                if len(self._received) > size + AROUND:
                    raise TransportError(f"{self._destination}: reading {path}: the answer is longer than requested")
                self._received.changed.wait(remaining)
        found, data = answer
        if len(data) > size:
            raise TransportError(f"{self._destination}: reading {path}: the answer is longer than requested")
        return found, data

    def _broken(self) -> Exception:
        if self._error is not None:
            return self._error
        if not self._received.greeting:
            try:
                self._script.result(self._output, self._status, self._destination)
            except TransportError as error:  # no shell answered
                return error
        return TransportError(f"{self._destination}: the connection was cut", retryable=True)

    def _run(self) -> None:
        try:
            self._status = self._channel(self._script.command, self._input(), self._output, process.IDLE_TIMEOUT)
        except Exception as error:  # raised in the thread that waits for an answer
            self._error = error
        finally:
            self._received.end()

    def _input(self) -> Iterator[bytes]:
        while True:
            try:
                request = self._requests.get(timeout=BEAT)
            except queue.Empty:
                yield b"\n"
                continue
            if request is None:
                return
            yield request

    def _end(self, ending: str) -> None:
        with contextlib.suppress(TransportError):
            self._channel(ending, (), CommandOutput(), FAREWELL)


class _Received(bytearray):
    """The output since the last answer. `greeting` is what came before the first answer."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()
        self.greeting = bytearray()
        self.ended = False

    def extend(self, piece: Iterable[SupportsIndex]) -> None:
        with self.changed:
            super().extend(piece)
            self.changed.notify_all()

    def end(self) -> None:
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def answer(self, mark: bytes) -> tuple[str, bytes] | None:
        """Takes out a complete answer: what was found, and the part before it. None if it is not complete yet."""
        if not self.greeting:
            line = mark + b"\n"
            begin = self.find(line)
            if begin < 0:
                return None
            self.greeting += self[: begin + len(line)]
            del self[: begin + len(line)]
        end = self.rfind(b"\n" + mark + b" ", max(len(self) - AROUND, 0))
        if end < 0 or not self.endswith(b"\n"):
            return None
        with memoryview(self) as view:
            data, found = bytes(view[:end]), bytes(view[end + len(mark) + 2 :])
        self.clear()
        return as_text(found).strip(), data
