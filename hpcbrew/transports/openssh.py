"""A cluster behind SSH, using the system's own client: one connection behind a control socket, one session per command.

For what paramiko cannot do: Kerberos, hardware keys, a site's own ssh. It asks whatever `ssh HOST` asks.
"""

import contextlib
import hashlib
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engine.printable import printable
from hpcbrew.errors import LoginRefused, TransportError, Unanswered
from hpcbrew.transports import process, side_by_side, ssh_config, tcp_line, waiting
from hpcbrew.transports.process import CommandOutput
from hpcbrew.transports.remote_shell import RemoteShell
from hpcbrew.transports.sessions import NoSession

PERSIST = "10m"
"""How long the connection is kept open for further commands, so that a second factor is not asked for at each."""

LOGIN, CONTROL = 300, 20
"""Seconds for a login, in which a person may have to type, and for a request to the open connection."""

INDIRECT = ("proxyjump", "proxycommand", "bindaddress", "bindinterface")
"""Options with which ssh does not connect directly to a host."""

SSH_FAILED = 255
"""The exit status of ssh if it fails itself."""

IN_THE_WAY = {"stdinnull": "no", "sessiontype": "default", "forkafterauthentication": "no", "loglevel": "ERROR"}
"""Options with the values that are needed for a command's input and output, and for ssh to say why it fails without
showing a server's greetings."""

LONGEST = 45
"""The most bytes of a folder's path, with room for what ssh adds: a socket's path may have 103 on macOS, 107 on
Linux."""

WORDS = 2**13
"""The most bytes that are kept of ssh's messages about a failed login."""

FULL = b"Session open refused by peer"
"""What ssh says if the server accepts no further command on the connection."""

DENIED = re.compile(r"Permission denied \(([\w.,@-]+)\)")

REFUSED = re.compile(
    "Permission denied|Host key verification failed|IDENTIFICATION HAS CHANGED|Bad configuration|"
    "Too many authentication failures"
)
"""What ssh says if trying again would be useless, or might lock an account."""


class OpenSsh(RemoteShell):
    """Connects when first needed, and again after a cut. Several threads may use it at once."""

    def __init__(self, destination: str, *, attended: bool, config: Path | None = None) -> None:
        super().__init__(destination)
        self._attended = attended
        self._settings: dict[str, str] | None = None
        self._overrides: tuple[str, ...] = ()
        self._config = ("-F", str(config)) if config else ()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Leaves the connection open for later commands, as `PERSIST` says."""

    def disconnect(self) -> None:
        """Closes the connection."""
        self._control("exit")

    def _connect(self) -> None:
        with self._lock:
            if self._settings is None:
                self._settings = self._configured()
                self._overrides = _overruled(self._settings)
            if self._control("check"):
                return
            self._reach(self._settings)
            batch = () if self._attended else ("-o", "BatchMode=yes")
            # With -f, ssh goes into the background once it is connected, after asking what it has to ask.
            command = self._ssh("-M", "-N", "-f", "-o", f"ControlPersist={PERSIST}", *batch)
            # ssh ignores its ConnectTimeout if a byte arrives just as it expires.
            limit = LOGIN if self._attended else 3 * ssh_config.PATIENCE
            with waiting.told(self.say, waiting.login(self._destination)):
                # ssh must ask its questions from the thread that owns the terminal.
                status, words = (
                    side_by_side.ask(lambda: _login(command, limit)) if self._attended else _login(command, limit)
                )
        if status is None:
            raise Unanswered(self._destination, "the login", limit)
        if status != 0 and not self._control("check"):  # another process may have been first
            raise self._refused(words)

    def _refused(self, words: str) -> TransportError:
        """Returns the error for a failed login, in ssh's words."""
        fault = f"{self._destination}: no connection: {words}"
        advice = f"`{ssh_config.typed(self._destination)}` shows more"
        if offered := DENIED.search(words):
            return LoginRefused(fault, frozenset(offered[1].split(",")), advice)
        fatal = REFUSED.search(words)
        return TransportError(f"{fault}. {advice}" if fatal else fault, retryable=not fatal)

    def _reach(self, settings: Mapping[str, str]) -> None:
        """Checks that a host answers, if ssh connects to it directly. ssh itself has a single timeout for reaching a
        host and for all that follows; this fails sooner. Raises Unreachable."""
        if any(settings.get(name, "none") != "none" for name in INDIRECT):
            return
        seconds = ssh_config.seconds(settings.get("connecttimeout", "none"), ssh_config.REACH)
        with contextlib.suppress(OSError, ValueError):  # ssh itself will say why it was refused
            host, port = settings["hostname"], int(settings["port"])
            tcp_line.connected(host, port, seconds, f"{host}:{port}").close()

    def _configured(self) -> dict[str, str]:
        """Returns the configuration as `ssh -G` prints it, each option with its first value."""
        command = ["ssh", *self._config, *ssh_config.resolve_command(self._destination)[1:]]
        try:
            result = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=CONTROL
            )
        except FileNotFoundError:
            raise TransportError("the OpenSSH client `ssh` is not installed") from None
        except subprocess.TimeoutExpired:
            raise Unanswered("this machine", process.named(command), CONTROL) from None
        lines = reversed(os.fsdecode(result.stdout).splitlines())
        return {key.lower(): value for key, _, value in (line.partition(" ") for line in lines)}

    def _channel(self, command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        # If it gets no session on the open connection, ssh would log in anew: ProxyCommand=false prevents that.
        ssh = self._ssh(
            "-T", "-o", "ControlMaster=no", "-o", "BatchMode=yes", "-o", "ProxyCommand=false", tail=(command,)
        )
        status = process.with_process(ssh, stdin, output, idle_timeout)
        if status == SSH_FAILED and FULL in output.err:
            output.err.clear()
            raise NoSession(f"{self._destination}: no further session: {FULL.decode()}", retryable=True)
        # If the command itself exited with 255, its marks are there and tell.
        return process.CUT if status == SSH_FAILED else status

    @property
    def _name(self) -> str:
        """The name of the control socket, one per destination and configuration. ssh's own %C also depends on jumps."""
        return hashlib.sha256("\0".join((*self._config, self._destination)).encode()).hexdigest()[:32]

    def _control(self, request: str) -> bool:
        command = self._ssh("-O", request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            result = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=CONTROL
            )
            return result.returncode == 0
        return False

    def _ssh(self, *options: str, tail: tuple[str, ...] = ()) -> tuple[str, ...]:
        # Ignores what the user's configuration may have for interactive logins: remote commands and port forwardings.
        overrides = ("-a", "-x", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes", *self._overrides)
        alive = ("-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=2")
        socket = ("-o", f"ControlPath={_folder()}/{self._name}")
        destination = ssh_config.arguments(self._destination)
        return ("ssh", *self._config, *socket, *alive, *overrides, *options, *destination, *tail)


def _login(command: Sequence[str], limit: float) -> tuple[int | None, str]:
    """Returns the exit status (None after a timeout) and what ssh said."""
    with tempfile.TemporaryFile() as output:  # a pipe would stay open as long as the connection
        try:
            result = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, timeout=limit
            )
            status: int | None = result.returncode
        except FileNotFoundError:
            raise TransportError("the OpenSSH client `ssh` is not installed") from None
        except subprocess.TimeoutExpired:
            status = None
        output.seek(0)
        return status, printable(output.read(WORDS).decode(errors="replace").strip())


def _overruled(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Returns options that override the user's own where those would interfere; only options that this ssh knows."""
    overrides = {name: value for name, value in IN_THE_WAY.items() if settings.get(name, value) != value}
    if settings.get("connecttimeout", "none") == "none":
        overrides["connecttimeout"] = f"{ssh_config.PATIENCE:.0f}"
    return tuple(word for name, value in overrides.items() for word in ("-o", f"{name}={value}"))


def _folder() -> Path:
    """Returns the user's private folder for control sockets: whoever can open one is logged in. Their paths must be
    short, hence not TMPDIR; and an ended session, for example under tmux, leaves an XDG_RUNTIME_DIR that is gone."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = base and len(os.fsencode(base)) <= LONGEST and Path(base).is_dir()
    folder = Path(base) / "hpcbrew" if usable else Path("/tmp") / f"hpcbrew-{os.getuid()}"  # noqa: S108 - checked below
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise TransportError(f"{folder}: no folder for ssh's control sockets: {error.strerror}") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise TransportError(
            f"{folder}: is not a folder that only you can access (chmod 700), so no control socket is put there: "
            "remove it, or set XDG_RUNTIME_DIR"
        )
    return folder


def attended() -> bool:
    """Whether there is a person at the terminal whom ssh may ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()
