"""What several commands print alike."""

from typing import Any

import click

DETACHED = 130  # 128 + SIGINT: Ctrl-C has ended the watching of a job, and not the job


def warn(words: str) -> None:
    """On standard error: standard output may be read by a program."""
    click.echo(f"hpcbrew: {words}", err=True)


def figure(value: Any, otherwise: str) -> str:
    """A number, or a list of them, with four digits; `otherwise` where there is none. The engine writes null for NaN,
    which JSON does not have."""
    if isinstance(value, list):
        return f"[{', '.join(figure(v, otherwise) for v in value)}]"
    return f"{value:.4g}" if isinstance(value, int | float) else otherwise
