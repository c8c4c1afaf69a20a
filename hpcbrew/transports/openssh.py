"""A cluster behind SSH, by the system's own client: one connection behind a control socket, a session a command.

For what paramiko cannot do: Kerberos, hardware keys, a site's own ssh. Whatever `ssh HOST` asks, it asks here.
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
"""How long the connection is kept for further commands: a second factor is asked for once, not at every command."""

LOGIN, CONTROL = 300, 20
"""Seconds for a login, in which a person may have to type, and for a word with the connection that stands."""

INDIRECT = ("proxyjump", "proxycommand", "bindaddress", "bindinterface")
"""Options by which ssh goes another way to a host than straight there."""

SSH_FAILED = 255
"""The exit status of ssh's own."""

IN_THE_WAY = {"stdinnull": "no", "sessiontype": "default", "forkafterauthentication": "no", "loglevel": "ERROR"}
"""Options with values that let a command be fed and heard, and ssh say why it fails, but not a server's greetings."""

LONGEST = 45
"""Bytes of a folder's path that leave room for what ssh adds: a socket's path has 103 on macOS, and 107 on Linux."""

WORDS = 2**13
"""Bytes of what ssh says of a login that failed."""

FULL = b"Session open refused by peer"
"""What ssh says where the server takes no further command on the connection."""

DENIED = re.compile(r"Permission denied \(([\w.,@-]+)\)")

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
        self._printed: dict[str, str] | None = None
        self._own: tuple[str, ...] = ()
        self._config = ("-F", str(config)) if config else ()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Leaves the connection to later commands, as `PERSIST` says."""

    def disconnect(self) -> None:
        """Ends the connection."""
        self._control("exit")

    def _connect(self) -> None:
        with self._lock:
            if self._printed is None:
                self._printed = self._configured()
                self._own = _overruled(self._printed)
            if self._control("check"):
                return
            self._reach(self._printed)
            batch = () if self._attended else ("-o", "BatchMode=yes")
            # With -f it goes to the background once it is connected: what it has to ask is asked before.
            command = self._ssh("-M", "-N", "-f", "-o", f"ControlPersist={PERSIST}", *batch)
            # ssh forgets its ConnectTimeout where a byte comes in just as that is over.
            limit = LOGIN if self._attended else 3 * ssh_config.PATIENCE
            with waiting.told(self.say, waiting.login(self._destination)):
                # What ssh asks is asked by the thread that has the terminal.
                status, words = (
                    side_by_side.ask(lambda: _login(command, limit)) if self._attended else _login(command, limit)
                )
        if status is None:
            raise Unanswered(self._destination, "the login", limit)
        if status != 0 and not self._control("check"):  # another process may have been first
            raise self._refused(words)

    def _refused(self, words: str) -> TransportError:
        """What to say of a login that failed, in ssh's words."""
        fault = f"{self._destination}: no connection: {words}"
        advice = f"`{ssh_config.typed(self._destination)}` shows more"
        if offered := DENIED.search(words):
            return LoginRefused(fault, frozenset(offered[1].split(",")), advice)
        fatal = REFUSED.search(words)
        return TransportError(f"{fault}. {advice}" if fatal else fault, retryable=not fatal)

    def _reach(self, printed: Mapping[str, str]) -> None:
        """ssh has one limit for reaching a host and for all that follows: where it goes there straight, a host that
        does not answer is told of sooner. Raises Unreachable."""
        if any(printed.get(name, "none") != "none" for name in INDIRECT):
            return
        seconds = ssh_config.seconds(printed.get("connecttimeout", "none"), ssh_config.REACH)
        with contextlib.suppress(OSError, ValueError):  # ssh says itself why it was refused
            host, port = printed["hostname"], int(printed["port"])
            tcp_line.connected(host, port, seconds, f"{host}:{port}").close()

    def _configured(self) -> dict[str, str]:
        """What `ssh -G` prints of the configuration, each option as it is first named."""
        command = ["ssh", *self._config, *ssh_config.resolve_command(self._destination)[1:]]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=CONTROL)
        except FileNotFoundError:
            raise TransportError("the OpenSSH client `ssh` is not installed") from None
        except subprocess.TimeoutExpired:
            raise Unanswered("this machine", process.named(command), CONTROL) from None
        lines = reversed(os.fsdecode(done.stdout).splitlines())
        return {key.lower(): value for key, _, value in (line.partition(" ") for line in lines)}

    def _channel(self, command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        # Without a session on the connection that stands it would log in anew: that is what the proxy keeps it from.
        ssh = self._ssh(
            "-T", "-o", "ControlMaster=no", "-o", "BatchMode=yes", "-o", "ProxyCommand=false", tail=(command,)
        )
        status = process.with_process(ssh, stdin, output, idle_timeout)
        if status == SSH_FAILED and FULL in output.err:
            output.err.clear()
            raise NoSession(f"{self._destination}: no further session: {FULL.decode()}", retryable=True)
        # Where the command itself ended so, its marks are there and say more.
        return process.CUT if status == SSH_FAILED else status

    @property
    def _name(self) -> str:
        """Of the control socket: one a destination and configuration. ssh's own %C depends on the way there too."""
        return hashlib.sha256("\0".join((*self._config, self._destination)).encode()).hexdigest()[:32]

    def _control(self, request: str) -> bool:
        command = self._ssh("-O", request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=CONTROL)
            return done.returncode == 0
        return False

    def _ssh(self, *options: str, tail: tuple[str, ...] = ()) -> tuple[str, ...]:
        # What the user's configuration may hold for logins by hand is left aside: commands and ports of its own.
        own = ("-a", "-x", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes", *self._own)
        alive = ("-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=2")
        socket = ("-o", f"ControlPath={_folder()}/{self._name}")
        where = ssh_config.arguments(self._destination)
        return ("ssh", *self._config, *socket, *alive, *own, *options, *where, *tail)


def _login(command: Sequence[str], limit: float) -> tuple[int | None, str]:
    """The exit status, None where it took too long, and what ssh said."""
    with tempfile.TemporaryFile() as said:  # a pipe would stay open for as long as the connection
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, timeout=limit
            )
            status: int | None = done.returncode
        except FileNotFoundError:
            raise TransportError("the OpenSSH client `ssh` is not installed") from None
        except subprocess.TimeoutExpired:
            status = None
        said.seek(0)
        return status, printable(said.read(WORDS).decode(errors="replace").strip())


def _overruled(printed: Mapping[str, str]) -> tuple[str, ...]:
    """Options in place of the user's own, where those would be in the way: only those that this ssh knows."""
    wanted = {name: value for name, value in IN_THE_WAY.items() if printed.get(name, value) != value}
    if printed.get("connecttimeout", "none") == "none":
        wanted["connecttimeout"] = f"{ssh_config.PATIENCE:.0f}"
    return tuple(word for name, value in wanted.items() for word in ("-o", f"{name}={value}"))


def _folder() -> Path:
    """The user's own folder for control sockets: whoever can open one is logged in. Their paths must be short, so it
    is not in TMPDIR; and a session that has ended, as tmux's may, leaves an XDG_RUNTIME_DIR that is gone."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    own = base and len(os.fsencode(base)) <= LONGEST and Path(base).is_dir()
    folder = Path(base) / "hpcbrew" if own else Path("/tmp") / f"hpcbrew-{os.getuid()}"  # noqa: S108 - looked at below
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
