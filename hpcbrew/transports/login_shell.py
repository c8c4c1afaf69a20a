"""Scripts as a login shell on the other side runs them: what to send, and what came back. Nothing here runs anything.

A script's output lies between marks: what the site's profile files print is dropped, and an answer that was cut is told
from one that is whole.
"""

import base64
import os
import re
import secrets
import shlex
from dataclasses import dataclass, field

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError
from hpcbrew.transports import process
from hpcbrew.transports.process import CommandOutput

_WORDS = 'export LC_CTYPE="${LC_ALL:-${LC_CTYPE:-${LANG-}}}" LC_MESSAGES=C; unset LC_ALL LANGUAGE; '
"""Messages in English, whatever the user's own language: some are looked into. Characters stay as they are."""

_LEVEL = "export SHLVL=2; "
"""A bash of level 1 that sshd began reads ~/.bashrc (Debian's, Fedora's), and one within the script takes itself for
such a one, too: what that prints would lie between the marks."""


@dataclass(frozen=True)
class ScriptResult:
    """What a script ended with, as bytes."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> CommandResult:
        """The same as text."""
        return CommandResult(self.status, as_text(self.out), as_text(self.err))


@dataclass(frozen=True)
class MarkedScript:
    """One run of a script, with a mark made anew for it."""

    script: str
    mark: str = field(default_factory=lambda: f"--{secrets.token_hex(8)}--")

    @property
    def command(self) -> str:
        """What to send. The number before the first mark is that of the shell."""
        marked = (
            f"{_WORDS}{_LEVEL}"
            f"printf '\\n%s %s\\n' $$ {self.mark}; printf '%s\\n' {self.mark} >&2; ({self.script}); status=$?; "
            f"printf '%s' {self.mark}; printf '%s %s' {self.mark} $status >&2"
        )
        return f"exec bash -l -c {quoted(marked)}"

    def result(self, output: CommandOutput, status: int, destination: str) -> ScriptResult:
        """What the script itself said. `status`: that of the channel which it ran in.

        Raises TransportError where no shell answered, `retryable` where the answer is not whole.
        """
        out, err = bytes(output.out), bytes(output.err)
        begins, ends = self._line, self.mark.encode()
        if begins not in out and status == process.CUT:
            raise TransportError(f"{destination}: the connection was cut", retryable=True)
        if begins not in out:
            said = as_text((err or out)[:1000]).strip() or f"exit status {status}"
            raise TransportError(f"{destination}: no bash answered there: {said}")
        out, whole, _ = out.partition(begins)[2].rpartition(ends)
        err, ended, own_status = err.partition(begins)[2].rpartition(ends)
        if not (whole and ended):
            raise TransportError(f"{destination}: the connection was cut", retryable=True)
        found = re.match(rb" (\d{1,3})\b", own_status)
        if found is None:
            raise TransportError(f"{destination}: the answer ends with no exit status")
        return ScriptResult(int(found[1]), out, err)

    def ending(self, output: CommandOutput) -> str | None:
        """A command that ends what the script has begun; None where it has not said that it began.

        sshd gives each command a process group of its own, and leaves it to itself when its line is closed.
        """
        shell = re.search(rb"^(\d{1,10}) " + re.escape(self._line), bytes(output.out), re.MULTILINE)
        if shell is None:
            return None
        kill = f"group=$(ps -o pgid= -p {int(shell[1])}) && kill -s TERM -- -$((group))"
        return f"exec sh -c {shlex.quote(kill)}"

    @property
    def _line(self) -> bytes:
        return f"{self.mark}\n".encode()


def quoted(script: str) -> str:
    """One word for whatever login shell the user has there: csh takes no line breaks in quotes, and reads ! in them;
    fish reads a backslash in quotes as an escape where another, or the end of the quotes, follows."""
    if not re.search(r"[\n!]|\\(?=[\\']|$)", script):
        return shlex.quote(script)
    encoded = base64.b64encode(os.fsencode(script)).decode()
    return shlex.quote(f'eval "$(echo {encoded} | base64 -d)"')


def as_text(data: bytes | bytearray) -> str:
    """What a command printed; bytes that are no UTF-8 are shown as such."""
    return data.decode("utf-8", errors="replace")
