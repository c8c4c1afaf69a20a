"""The first login: the host's key confirmed, then as many factors as the site asks for."""

from collections.abc import Callable, Generator
from pathlib import PurePosixPath

from hpcbrew.errors import LoginRefused, TransportError
from hpcbrew.setup import keys
from hpcbrew.transports.ssh import Ssh
from hpcbrew.transports.ssh_host import SshHost
from hpcbrew.transports.ssh_login import Prompter, Unattended

TRIES = 3  # as OpenSSH lets a user mistype a password


def login(
    destination: str, resolve: Callable[[str], SshHost], prompter: Prompter, kind: str, *, ask: bool
) -> Generator[str, None, Ssh]:
    """Says what it does, and returns the connection. Raises TransportError.

    Nothing is done where a key opens the door already; a mistyped password may be tried again where somebody is asked.
    """
    session = Ssh(destination, Unattended(), resolve)
    try:
        session.run(["true"], PurePosixPath("/"))
    except TransportError as error:
        if error.retryable:
            raise
    else:
        yield f"{destination} lets you in without a password already"
        return session
    session = Ssh(destination, prompter, resolve)
    _enter(session, TRIES if ask else 1)
    yield f"logged in to {destination}"
    again = Ssh(destination, keys.KeysOnly(prompter), resolve)
    yield from keys.prepare(resolve(destination), kind, session, again, ask=ask)
    return session


def _enter(session: Ssh, tries: int) -> None:
    for left in reversed(range(tries)):
        try:
            session.run(["true"], PurePosixPath("/"))
        except LoginRefused:
            if not left:
                raise
        else:
            return
