"""Who answers when the way into a cluster needs a person: the user at the terminal, if there is one."""

import sys

import click

from hpcbrew.transports.ssh_auth import Prompter, Unattended


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
