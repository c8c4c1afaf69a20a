"""--layers: modules with layers from outside the source tree. Imports little, since every --help loads it."""

from collections.abc import Callable
from typing import Any

import click


def modules_of_layers(help_text: str) -> Callable[[Any], Any]:
    """The option. Its modules are loaded before any file that uses their layers is read."""
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
