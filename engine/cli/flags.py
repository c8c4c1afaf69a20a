"""gflags' syntax over click: one dash or two, `=` or a blank, `-flag` and `-noflag` for booleans."""

from collections.abc import Container, Iterator
from typing import Any

import click

from engine import log, suggest

TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


precision = click.option(
    "--precision",
    type=click.Choice(["float32", "tf32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="tf32: products in TF32, on GPUs. bfloat16: convolutions and inner products. Parameters stay float32.",
)


class Command(click.Command):
    """A command whose flags are gflags', and click's with two dashes. Its log goes to stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        handler = log.start()
        try:
            return super().invoke(ctx)
        finally:
            log.stop(handler)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_spelt_out(args, self, ctx)))


class Group(click.Group):
    """Makes such commands."""

    command_class = Command


def command_first(args: list[str], commands: Container[str]) -> list[str]:
    """gflags lets flags stand before the command (`caffe -solver=x train`); click wants the command first."""
    if not args or not args[0].startswith("-"):
        return args
    at = next((i for i, arg in enumerate(args) if arg in commands), None)
    return args if at is None else [args[at], *args[:at], *args[at + 1 :]]


def _spelt_out(args: list[str], command: click.Command, ctx: click.Context) -> Iterator[str]:
    options = {p.opts[0].lstrip("-"): p for p in command.get_params(ctx) if isinstance(p, click.Option)}
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            yield from (arg, *rest)
            return
        if len(arg) < 2 or arg[0] != "-":
            yield arg
            continue
        name, given, value = arg.lstrip("-").partition("=")
        name = {"h": "help"}.get(name, name)
        if (
            name.startswith("no")
            and (option := options.get(name[2:])) is not None
            and option.is_bool_flag
            and not given
        ):
            yield f"--{name}"
        elif name not in options:
            raise click.UsageError(_unknown(arg, name, options, ctx.command_path))
        elif options[name].is_bool_flag:
            yield f"--{name}" if _truth(name, value if given else "true") else f"--no{name}"
        elif given:
            yield f"--{name}={value}"
        elif (following := next(rest, None)) is not None:
            yield f"--{name}={following}"
        else:
            yield f"--{name}"


def _truth(name: str, value: str) -> bool:
    if value.lower() not in TRUE + FALSE:
        raise click.UsageError(f'-{name} is a yes or no: -{name}, -no{name}, or -{name}=true; "{value}" is neither.')
    return value.lower() in TRUE


def _unknown(arg: str, name: str, options: dict[str, Any], command: str) -> str:
    near = suggest.closest(name, options, 3, cutoff=0.5)
    meant = f"did you mean {' or '.join(f'-{n}' for n in near)}? " if near else ""
    return f'unknown flag "{arg.partition("=")[0]}"; {meant}`{command} --help` lists them all.'
