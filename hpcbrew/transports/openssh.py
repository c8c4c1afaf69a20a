"""A cluster behind SSH, by the system's own client: one connection behind a control socket, a session a command.

For what paramiko cannot do: Kerberos, hardware keys, a site's own ssh. Whatever `ssh HOST` asks, it asks here.
"""

import contextlib
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.transports import process, ssh_config
from hpcbrew.transports.process import CommandOutput
from hpcbrew.transports.remote_shell import RemoteShell

PERSIST = "10m"
"""How long the connection is kept for further commands: a second factor is asked for once, not at every command."""

LOGIN, CONTROL = 300, 20
"""Seconds for a login, in which a person may have to type, and for a word with the connection that stands."""

SSH_FAILED = 255
"""The exit status of ssh's own."""

REFUSED = re.compile(
    "Permission denied|Host key verification failed|IDENTIFICATION HAS CHANGED|Bad configuration|"
    "Too many authentication failures"
)
"""What ssh says where trying again would bring nothing, or lock an account."""


class OpenSsh(RemoteShell):
    """Connects when first needed, and again after a cut. Several threads may use it at once."""

    def __init__(self, destination: str, *, attended: bool, config: Path | None = None) -> None:
        super().__init__(destination)
        self._attended = attended
        self._config = ("-F", str(config)) if config else ()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Leaves the connection to later commands, as `PERSIST` says."""

    def disconnect(self) -> None:
        """Ends the connection."""
        self._control("exit")

    def _connect(self) -> None:
        with self._lock:
            if self._control("check"):
                return
            batch = () if self._attended else ("-o", "BatchMode=yes")
            # With -f it goes to the background once it is connected: what it has to ask is asked before.
            command = self._ssh("-M", "-N", "-f", "-o", f"ControlPersist={PERSIST}", *batch)
            with tempfile.TemporaryFile() as said:  # a pipe would stay open for as long as the connection
                try:
                    done = subprocess.run(
                        command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, timeout=LOGIN
                    )
                except subprocess.TimeoutExpired:
                    raise Unanswered(self._destination, "the login", LOGIN) from None
                said.seek(0)
                words = said.read().decode(errors="replace").strip()
        if done.returncode != 0 and not self._control("check"):  # another process may have been first
            fatal = REFUSED.search(words)
            advice = f". `ssh {self._destination}` shows more" if fatal else ""
            raise TransportError(f"{self._destination}: no connection: {words}{advice}", retryable=not fatal)

    def _channel(self, command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        ssh = self._ssh("-T", "-o", "ControlMaster=no", "-o", "BatchMode=yes", tail=(command,))
        status = process.with_process(ssh, stdin, output, idle_timeout)
        # Where the command itself ended so, its marks are there and say more.
        return process.CUT if status == SSH_FAILED else status

    def _control(self, request: str) -> bool:
        command = self._ssh("-O", request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=CONTROL)
            return done.returncode == 0
        return False

    def _ssh(self, *options: str, tail: tuple[str, ...] = ()) -> tuple[str, ...]:
        # What the user's configuration may hold for logins by hand is left aside: commands and ports of its own.
        own = ("-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes")
        alive = ("-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=2")
        socket = ("-o", f"ControlPath={_folder()}/%C")
        where = ssh_config.arguments(self._destination)
        return ("ssh", *self._config, *socket, *alive, *own, *options, *where, *tail)


def _folder() -> Path:
    """The user's own folder for control sockets: whoever can open one is logged in. Their paths must be short, and
    TMPDIR may be long."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) / "hpcbrew" if base else Path("/tmp") / f"hpcbrew-{os.getuid()}"  # noqa: S108 - looked at below
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise TransportError(f"{folder}: no folder for ssh's control sockets: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise TransportError(
            f"{folder}: is not a folder that is yours alone (chmod 700), so no control socket is put there: "
            "take it away, or set XDG_RUNTIME_DIR"
        )
    return folder


def attended() -> bool:
    """Whether a person sits at the terminal, whom ssh may ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()
