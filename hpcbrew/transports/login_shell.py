"""Wraps scripts for a remote login shell, and unwraps what comes back. Nothing is run here.

A script's output is enclosed in marks: so what the site's profile files print is dropped, and a truncated answer is
told from a complete one.
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
"""Sets messages to English, since some are parsed, but keeps the user's character set."""

_LEVEL = "export SHLVL=2; "
"""A bash at level 1 that sshd started reads ~/.bashrc (on Debian and Fedora), and a bash within the script would
believe to be one: what that file prints would end up between the marks."""


@dataclass(frozen=True)
class ScriptResult:
    """The exit status and output of a script, as bytes."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> CommandResult:
        """The same, as text."""
        return CommandResult(self.status, as_text(self.out), as_text(self.err))


@dataclass(frozen=True)
class MarkedScript:
    """One run of a script, with a fresh mark."""

    script: str
    mark: str = field(default_factory=lambda: f"--{secrets.token_hex(8)}--")

    @property
    def command(self) -> str:
        """The command to send. The number before the first mark is the shell's process id."""
        text = (
            f"{_WORDS}{_LEVEL}"
            f"printf '\\n%s %s\\n' $$ {self.mark}; printf '%s\\n' {self.mark} >&2; ({self.script}); status=$?; "
            f"printf '%s' {self.mark}; printf '%s %s' {self.mark} $status >&2"
        )
        return f"exec bash -l -c {quoted(text)}"

    def result(self, output: CommandOutput, status: int, destination: str) -> ScriptResult:
        """Returns what the script itself printed. `status`: that of the channel in which it ran.

        Raises TransportError if no shell answered; `retryable` if the answer is incomplete.
        """
        out, err = bytes(output.out), bytes(output.err)
        begins, ends = self._line, self.mark.encode()
        if begins not in out and status == process.CUT:
            raise TransportError(f"{destination}: the connection was cut", retryable=True)
        if begins not in out:
            message = as_text((err or out)[:1000]).strip() or f"exit status {status}"
            raise TransportError(f"{destination}: no bash answered there: {message}")
        out, out_mark, _ = out.partition(begins)[2].rpartition(ends)
        err, err_mark, own_status = err.partition(begins)[2].rpartition(ends)
        if not (out_mark and err_mark):
            raise TransportError(f"{destination}: the connection was cut", retryable=True)
        match = re.match(rb" (\d{1,3})\b", own_status)
        if match is None:
            raise TransportError(f"{destination}: the answer ends without an exit status")
        return ScriptResult(int(match[1]), out, err)

    def ending(self, output: CommandOutput) -> str | None:
        """Returns a command that terminates what the script has started; None if it has not said that it started.

        sshd gives each command its own process group, and lets it go on when the connection is closed.
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
    """Quotes a script as one word for any login shell: csh accepts no line breaks in quotes, and expands ! in them;
    fish takes a backslash in quotes as an escape if another backslash, or the end of the quotes, follows."""
    if not re.search(r"[\n!]|\\(?=[\\']|$)", script):
        return shlex.quote(script)
    encoded = base64.b64encode(os.fsencode(script)).decode()
    return shlex.quote(f'eval "$(echo {encoded} | base64 -d)"')


def as_text(data: bytes | bytearray) -> str:
    """Decodes what a command printed; bytes that are not UTF-8 become replacement characters."""
    return data.decode("utf-8", errors="replace")
