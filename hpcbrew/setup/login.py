"""The first login: confirms the host's key, then answers as many factors as the site asks for."""

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import PurePosixPath

from hpcbrew.errors import LoginRefused, TransportError
from hpcbrew.setup import ssh_keys
from hpcbrew.setup.report import Report
from hpcbrew.transports import process, ssh_config
from hpcbrew.transports.base import Transport
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Prompter, Unattended
from hpcbrew.transports.ssh_config import SshHost

TRIES = 3  # as many as OpenSSH allows for a password


def login(
    destination: str,
    resolve: Callable[[str], SshHost],
    prompter: Prompter,
    kind: str,
    report: Report,
    *,
    ask: bool,
) -> Ssh:
    """Logs in, installs a key, and returns the connection; reports what it does. Raises TransportError.

    Does nothing if a key already works. A mistyped password may be tried again if there is somebody to ask.
    """
    session = Ssh(destination, Unattended(), resolve)
    try:
        session.run(["true"], PurePosixPath("/"))
    except TransportError as error:
        if error.retryable:
            raise
    else:
        report(f"{destination} lets you in without a password already")
        return session
    session = Ssh(destination, prompter, resolve)
    _enter(session, TRIES if ask else 1, report)
    report(f"logged in to {destination}")
    host = resolve(destination)
    ssh_keys.prepare(host, kind, session, report, ask=ask)
    if session.by_client:  # its connection stays open for a while, so a new login would prove nothing
        return session
    report(ssh_keys.proven(Ssh(destination, ssh_keys.KeysOnly(prompter), resolve), host))
    return session


def login_by_client(
    destination: str,
    resolve: Callable[[str], SshHost],
    session: Transport,
    kind: str,
    report: Report,
    *,
    ask: bool,
) -> Transport:
    """The same with the system's own ssh, which itself asks about the host's key, passwords and codes."""
    command = [
        "ssh",
        "-a",
        "-x",
        "-o",
        "BatchMode=yes",
        "-o",
        "ControlPath=none",
        *ssh_config.arguments(destination),
        "true",
    ]
    with contextlib.suppress(subprocess.TimeoutExpired):
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=process.IDLE_TIMEOUT,
        )
        if result.returncode == 0:
            report(f"{destination} lets you in without a password already")
            return session
    try:
        session.run(["true"], PurePosixPath("/"))
    except TransportError as error:
        if ask or error.retryable:
            raise
        raise TransportError(
            f"{error}. No questions were asked, because of --yes or for want of a terminal: log in once by hand, "
            f"`{ssh_config.typed(destination)}`"
        ) from None
    report(f"logged in to {destination}")
    ssh_keys.prepare(resolve(destination), kind, session, report, ask=ask)
    return session


def _enter(session: Ssh, tries: int, report: Report) -> None:
    for tries_left in reversed(range(tries)):
        try:
            session.run(["true"], PurePosixPath("/"))
        except LoginRefused:
            if not tries_left or session.by_client:  # ssh itself asks several times
                raise
            report(f"that was refused; {tries_left} more {'try' if tries_left == 1 else 'tries'}")
        else:
            return
