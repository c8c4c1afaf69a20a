"""Runs scripts in a login shell on the other side: their output lies between marks, a cut is told from an end, and
what gives no answer is given up.

How a script gets there is left to those who extend `Pipe`: paramiko (`ssh`), or the system's client (`openssh`).
"""

import base64
import contextlib
import re
import secrets
import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.transports import process
from hpcbrew.transports.process import CommandOutput

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt, where one broke off that may be repeated."""

FAREWELL = 10.0
"""Seconds for the ending of a command that was given up."""

Stream = bytes | Callable[[], Iterable[bytes]]
"""What a command is given to read: as it is, or a function that begins it anew for each attempt."""


class Pipe(ABC):
    """A line that carries one script at a time, or several at once. `say` is told why one waits."""

    say: Callable[[str], object] = staticmethod(lambda words: None)

    def __init__(self, destination: str) -> None:
        self._destination = destination

    @abstractmethod
    def _connect(self) -> None:
        """Sees to it that the line stands. Raises TransportError, `retryable` where the login was not refused."""

    @abstractmethod
    def _channel(self, command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        """Runs a command there: its exit status, -1 where the line broke, `talk.SILENT` where it said nothing for
        `idle_timeout` seconds and was given up. Raises TransportError, `retryable`, after a cut."""

    def _shell(self, script: str, what: str, **how: Any) -> CommandResult:
        return self._answer(self._bytes(script, what, **how))

    def _answer(self, raw: tuple[int, bytes, bytes]) -> CommandResult:
        return CommandResult(raw[0], as_text(raw[1]), as_text(raw[2]))

    def _bytes(self, script: str, what: str, **how: Any) -> tuple[int, bytes, bytes]:
        return self._attempts(lambda attempt: script, what, **how)

    def _attempts(
        self,
        script: Callable[[int], str],
        what: str,
        *,
        stdin: Stream = b"",
        idempotent: bool = False,
        idle_timeout: float | None = None,
    ) -> tuple[int, bytes, bytes]:
        """Runs a script, which may depend on how often it was tried; `idempotent`: it may be run more than once.

        Connecting is tried again in any case: nothing has been asked for by then. What gave no answer is not: it may
        be at work still, and the next might be as silent. `what` names the script in an error.

        Once an attempt has been cut off, every error is retryable: the script may have done its work.
        """
        begun = False
        for attempt, pause in enumerate((*PAUSES, None)):
            connected = False
            try:
                self._connect()
                connected = True
                return self._once(
                    script(attempt), what, stdin, process.IDLE_TIMEOUT if idle_timeout is None else idle_timeout
                )
            except Unanswered:
                raise
            except TransportError as error:
                if not error.retryable or (connected and not idempotent) or pause is None:
                    error.retryable |= begun
                    raise
                begun |= connected
                if pause:
                    self.say(f"{error}; trying again")
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, script: str, what: str, stdin: Stream, idle_timeout: float) -> tuple[int, bytes, bytes]:
        """Runs a script in a login shell, as the user's own commands are.

        Its output lies between marks made anew for each command: what the site's profile files print is dropped, and
        an answer that was cut is told from one that is whole. The number before the first is that of the shell.
        """
        mark = f"--{secrets.token_hex(8)}--"
        marked = (
            f"printf '\\n%s %s\\n' $$ {mark}; printf '%s\\n' {mark} >&2; ({script}); status=$?; printf '%s' {mark}; "
            f"printf '%s %s' {mark} $status >&2"
        )
        given = iter([stdin]) if isinstance(stdin, bytes) else stdin()
        output, line = CommandOutput(), f"{mark}\n".encode()
        try:
            status = self._channel(f"exec bash -l -c {quoted(marked)}", given, output, idle_timeout)
        except BaseException as error:
            if not isinstance(error, TransportError):  # Ctrl-C: what was begun there is not left to itself
                self._end(output, line)
            raise
        if status == process.SILENT:
            self._end(output, line)
            raise Unanswered(self._destination, what, idle_timeout)
        out, err = bytes(output.out), bytes(output.err)
        if line not in out and status == -1:
            raise TransportError(f"{self._destination}: the connection was cut", retryable=True)
        if line not in out:
            said = as_text(err or out).strip() or f"exit status {status}"
            raise TransportError(f"{self._destination}: no bash answered there: {said}")
        out, whole, _ = out.partition(line)[2].rpartition(line[:-1])
        err, ended, own = err.partition(line)[2].rpartition(line[:-1])
        if not (whole and ended):
            raise TransportError(f"{self._destination}: the connection was cut", retryable=True)
        return int(own.split()[0]), out, err

    def _end(self, output: CommandOutput, line: bytes) -> None:
        """Ends what a script has begun there, as far as that can be: sshd leaves it to itself when its line is closed.

        sshd gives each command a process group of its own.
        """
        if shell := re.search(rb"^(\d+) " + re.escape(line), bytes(output.out), re.MULTILINE):
            kill = f"group=$(ps -o pgid= -p {int(shell[1])}) && kill -s TERM -- -$((group))"
            with contextlib.suppress(TransportError):
                self._channel(f"exec sh -c {shlex.quote(kill)}", (), CommandOutput(), FAREWELL)


def quoted(script: str) -> str:
    """One word for whatever login shell the user has there: csh takes no line breaks in quotes, and reads ! in them."""
    if not re.search(r"[\n!]", script):
        return shlex.quote(script)
    encoded = base64.b64encode(script.encode()).decode()
    return shlex.quote(f'eval "$(echo {encoded} | base64 -d)"')


def as_text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", errors="replace")
