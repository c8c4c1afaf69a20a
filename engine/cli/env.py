"""`caffe env`: prints the shell setting that `import caffe` needs."""

import os
import shlex
from pathlib import Path

import click

import engine
from engine.cli import flags


@click.command(cls=flags.Command)
def env() -> None:
    """Print a shell line that puts `import caffe` on PYTHONPATH: eval "$(caffe env)"

    Works in bash, zsh and sh. The Python in which hpcbrew is installed finds this caffe without it, unless another
    caffe is installed there too; PYTHONPATH takes precedence over both.
    """
    folder = str(Path(engine.__file__).parent / "python")
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", folder)]
    click.echo(f"export PYTHONPATH={shlex.quote(os.pathsep.join([folder, *others]))}")
