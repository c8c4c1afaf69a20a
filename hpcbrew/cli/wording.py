"""Rewords click's errors about a command line: what is wrong, what was perhaps meant, and where to look."""

import re
from collections.abc import Iterable

import click

from engine.printable import printable
from engine.suggest import closest

VALUE = re.compile(r"'(?P<value>.*)' is not (one of .*|'[^']*')\.?", re.DOTALL)
"""Click's message for a value that is not one of the allowed ones."""


def in_words(error: click.ClickException) -> str:
    """Returns the message without the leading `hpcbrew: error: `, on one line whatever the command line contains."""
    return printable(_message(error), one_line=True)


def _message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    if not isinstance(error, click.UsageError):
        return message
    ctx = error.ctx
    path = ctx.command_path if ctx else "hpcbrew"
    if isinstance(error, click.NoSuchOption):
        options = [name for p in (ctx.command.params if ctx else ()) for name in p.opts if name.startswith("--")]
        message = f"{path} has no option {error.option_name}{_meant(error.option_name, options)}"
    elif (unknown := re.match(r"No such command '(.*?)'", message, re.DOTALL)) and ctx:
        names = ctx.command.list_commands(ctx) if isinstance(ctx.command, click.Group) else []
        message = f"{path}: No such command '{unknown[1]}'{_meant(unknown[1], names)}"
    elif isinstance(error, click.MissingParameter):
        option_names = " or ".join(filter(None, (error.param.opts if isinstance(error.param, click.Option) else [])))
        parameter = option_names or (error.param.make_metavar(ctx) if error.param and ctx else "an argument")
        message = f"{path}: {parameter} is missing"
    elif isinstance(error, click.BadParameter) and error.param is not None:
        parameter = (
            max(error.param.opts, key=len) if isinstance(error.param, click.Option) else error.param.human_readable_name
        )
        message = f"{parameter}: {error.message.rstrip('.')}{_of_choice(error)}"
    else:
        message = f"{path}: {message}"
    return f"{message.rstrip('?')}{'?' if message.endswith('?') else '.'} {path} --help says more" if ctx else message


def _of_choice(error: click.BadParameter) -> str:
    match = VALUE.fullmatch(error.message)
    choices = getattr(getattr(error.param, "type", None), "choices", ())
    return _meant(match["value"], choices) if match else ""


def _meant(word: str, names: Iterable[str]) -> str:
    """`. Did you mean --gpus-per-node?`"""
    likely = closest(word, names)
    return f". Did you mean {likely[0]}?" if likely else ""
