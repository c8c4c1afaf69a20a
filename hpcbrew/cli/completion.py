"""`hpcbrew completion SHELL`."""

import re
import subprocess

import click
from click.shell_completion import get_completion_class

from hpcbrew.cli.output import say
from hpcbrew.errors import RequestError

OLDEST = (4, 4)
"""The bash that Click's script needs: an older one complains of it whenever it starts."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that makes your shell complete commands, clusters and job names.

    \b
    Examples:
      hpcbrew completion bash >>~/.bashrc
      hpcbrew completion zsh >>~/.zshrc
      hpcbrew completion fish >~/.config/fish/completions/hpcbrew.fish
    """
    if shell == "bash":
        _check_bash()
    completion = get_completion_class(shell)
    assert completion is not None, shell
    say(completion(ctx.find_root().command, {}, "hpcbrew", "_HPCBREW_COMPLETE").source())


def _check_bash() -> None:
    """Raises RequestError if the bash on PATH is too old, as those of macOS and RHEL 7 are."""
    command = ["bash", "--norc", "-c", 'echo "$BASH_VERSION"']
    version = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    numbers = re.match("([0-9]{1,3})[.]([0-9]{1,3})", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise RequestError(
            f"this bash is {version.strip()}, and completion needs {OLDEST[0]}.{OLDEST[1]} or later; "
            "zsh and fish of any version will do: hpcbrew completion zsh"
        )
