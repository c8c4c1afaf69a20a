"""Who answers when the way into a cluster needs a person: the user at the terminal, if there is one."""

import sys
from typing import Protocol

import click

from hpcbrew.errors import TransportError


class Prompter(Protocol):
    """Who answers when the way in needs a person."""

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        """Whether this is the key of that host: shown as `ssh-ed25519` and `SHA256:…`."""

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        """What the user types; None where there is nobody to ask."""


class Unattended:
    """Nobody is there: keys and agents only, and no host that is not known."""

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        return False

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        return None


class Expected:
    """Takes the one host key whose fingerprint the user gave beforehand; all else is up to the person, if any."""

    def __init__(self, fingerprint: str, prompter: Prompter) -> None:
        self._fingerprint = fingerprint
        self._prompter = prompter

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        if fingerprint != self._fingerprint:
            raise TransportError(
                f"{host}: its {kind} key has the fingerprint {fingerprint}, and {self._fingerprint} was given. Unless "
                f"the one given is of a key of another kind, someone may be listening in: compare with what the site "
                f"publishes for {kind}"
            )
        return True

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        return self._prompter.answer(prompt, secret=secret)


class Terminal:
    """Asks on the terminal, on standard error: standard output may be read by a program."""

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        click.echo(f"{host} is not known yet. Its {kind} key has the fingerprint\n  {fingerprint}", err=True)
        return click.confirm("Is that what the site says, and do you want to connect?", err=True)

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        answer: str = click.prompt(prompt.rstrip(" :"), hide_input=secret, err=True, default="", show_default=False)
        return answer


def prompter() -> Prompter:
    """The terminal where a person sits at it, and nobody otherwise."""
    return Terminal() if sys.stdin.isatty() and sys.stderr.isatty() else Unattended()
