"""Who answers when the way into a cluster needs a person: the user at the terminal, if there is one."""

import sys
from collections.abc import Callable
from typing import Protocol

import click

from engine.printable import printable
from hpcbrew.errors import TransportError
from hpcbrew.transports import side_by_side


class Prompter(Protocol):
    """Who answers when the way in needs a person. `attended`: whether a person is there at all."""

    @property
    def attended(self) -> bool: ...

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        """Whether this is the key of that host: shown as `ssh-ed25519` and `SHA256:…`."""

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        """What the user types; None where there is nobody to ask."""


class Unattended:
    """Nobody is there: keys and agents only, and no host that is not known."""

    attended = False

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        return False

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        return None


class Expected:
    """Takes the one host key whose fingerprint the user gave beforehand; all else is up to the person, if any."""

    def __init__(self, fingerprint: str, prompter: Prompter) -> None:
        self._fingerprint = fingerprint
        self._prompter = prompter

    @property
    def attended(self) -> bool:
        return self._prompter.attended

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
    """Asks on the terminal, on standard error: standard output may be read by a program. A server's questions are shown
    with their control characters made visible."""

    attended = True

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        def question() -> bool:
            click.echo(f"{host} is not known yet. Its {kind} key has the fingerprint\n  {fingerprint}", err=True)
            return click.confirm("Is that what the site says, and do you want to connect?", err=True)

        return side_by_side.ask(question)

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        def question() -> str:
            words = printable(prompt).rstrip(" :")
            answer: str = click.prompt(words, hide_input=secret, err=True, default="", show_default=False)
            return answer

        return side_by_side.ask(question)


class Told:
    """Another prompter, and somebody who is told when it is asked something."""

    def __init__(self, prompter: Prompter, asked: Callable[[], object]) -> None:
        self._prompter = prompter
        self._asked = asked

    @property
    def attended(self) -> bool:
        return self._prompter.attended

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        self._asked()
        return self._prompter.confirm_host_key(host, kind, fingerprint)

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        self._asked()
        return self._prompter.answer(prompt, secret=secret)


def prompter() -> Prompter:
    """The terminal where a person sits at it, and nobody otherwise."""
    return Terminal() if sys.stdin.isatty() and sys.stderr.isatty() else Unattended()
