"""`caffe env`: what a shell needs for `import caffe`."""

import os
import shlex
from pathlib import Path

import click

import engine
from engine.cli import flags


@click.command(cls=flags.Command)
def env() -> None:
    """Prints the line that puts `import caffe` on PYTHONPATH: eval "$(caffe env)"

    For bash, zsh and sh. Where hpcbrew is installed, its Python finds this caffe without it, unless another caffe is
    installed there; PYTHONPATH comes before both.
    """
    here = str(Path(engine.__file__).parent / "python")
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", here)]
    click.echo(f"export PYTHONPATH={shlex.quote(os.pathsep.join([here, *others]))}")
