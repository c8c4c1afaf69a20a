"""Asks the user at the terminal, if there is one, when a login needs a person."""

import sys
from collections.abc import Callable
from typing import Protocol

import click

from engine.printable import printable
from hpcbrew.errors import TransportError
from hpcbrew.transports import side_by_side


class Prompter(Protocol):
    """Answers when a login needs a person. `attended`: whether there is a person at all."""

    @property
    def attended(self) -> bool: ...

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        """Whether this is the key of that host; `kind` is like `ssh-ed25519`, `fingerprint` like `SHA256:…`."""

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        """Returns what the user types; None if there is nobody to ask."""


class Unattended:
    """For when nobody is there: allows only keys and agents, and only known hosts."""

    attended = False

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        return False

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        return None


class Expected:
    """Accepts only the host key whose fingerprint the user gave beforehand; all else is left to another prompter."""

    def __init__(self, fingerprint: str, prompter: Prompter) -> None:
        self._fingerprint = fingerprint
        self._prompter = prompter

    @property
    def attended(self) -> bool:
        return self._prompter.attended

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        if fingerprint != self._fingerprint:
            raise TransportError(
                f"{host}: its {kind} key has the fingerprint {fingerprint}, but {self._fingerprint} was given. Unless "
                f"the latter is for another type of key, someone may be listening in: compare with the fingerprint "
                f"that the site publishes for {kind}"
            )
        return True

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        return self._prompter.answer(prompt, secret=secret)


class Terminal:
    """Asks on the terminal, on standard error, since a program may be reading standard output. A server's questions are
    shown with control characters made visible."""

    attended = True

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        def question() -> bool:
            click.echo(f"{host} is not known yet. Its {kind} key has the fingerprint\n  {fingerprint}", err=True)
            return click.confirm("Does that match what the site publishes, and do you want to connect?", err=True)

        return side_by_side.ask(question)

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        def question() -> str:
            words = printable(prompt).rstrip(" :")
            answer: str = click.prompt(words, hide_input=secret, err=True, default="", show_default=False)
            return answer

        return side_by_side.ask(question)


class NotifyingPrompter:
    """Wraps another prompter, and calls `on_question` whenever it is asked something."""

    def __init__(self, prompter: Prompter, on_question: Callable[[], object]) -> None:
        self._prompter = prompter
        self._on_question = on_question

    @property
    def attended(self) -> bool:
        return self._prompter.attended

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        self._on_question()
        return self._prompter.confirm_host_key(host, kind, fingerprint)

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        self._on_question()
        return self._prompter.answer(prompt, secret=secret)


def prompter() -> Prompter:
    """Returns the terminal's prompter if a person sits at it, and `Unattended` otherwise."""
    return Terminal() if sys.stdin.isatty() and sys.stderr.isatty() else Unattended()
