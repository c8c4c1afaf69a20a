"""--layers: modules of layers from outside of the tree, for a command to use. It imports little: help needs it."""

from collections.abc import Callable
from typing import Any

import click


def modules_of_layers(help_text: str) -> Callable[[Any], Any]:
    """The option. Its modules are in use before the files that name their layers are read."""
    return click.option(
        "--layers",
        metavar="MODULE,…",
        default="",
        expose_value=False,
        is_eager=True,
        callback=_use,
        help=help_text,
    )


def _use(ctx: click.Context, parameter: click.Parameter, modules: str) -> None:
    if modules:
        from engine.proto import layer_modules  # noqa: PLC0415 - slow to import

        layer_modules.use(modules)
