"""`hpcbrew completion SHELL`."""

import click
from click.shell_completion import get_completion_class

from hpcbrew.cli.output import say


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands, clusters and job names in your shell.

    \b
    Examples:
      hpcbrew completion bash >>~/.bashrc
      hpcbrew completion zsh >>~/.zshrc
      hpcbrew completion fish >~/.config/fish/completions/hpcbrew.fish
    """
    completion = get_completion_class(shell)
    assert completion is not None, shell
    say(completion(ctx.find_root().command, {}, "hpcbrew", "_HPCBREW_COMPLETE").source())
