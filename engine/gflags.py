"""gflags' syntax for click commands: one dash or two, `=` or a blank, `-flag` and `-noflag` for booleans."""

from collections.abc import Container, Iterator, Sequence
from typing import Any, ClassVar

import click

from engine import help_text, log, log_flags, suggest
from engine.errors import EngineError

FROM_ENVIRONMENT = ("fromenv", "tryfromenv")
_OWN = ("flagfile", *FROM_ENVIRONMENT, "undefok")

HELP = ("h", "helpfull", "helpshort")
_ALONE = {"version": "--version", **dict.fromkeys(("help", *HELP), "--help")}
"""Flags that need no command, with their spelling in click."""

LOG_FLAGS, OTHERS = "engine.gflags.log_flags", "engine.gflags.others"
"""Keys of a context's meta: glog's flags, and the flags given that belong to other commands."""


class Command(click.Command):
    """A command that takes its flags in gflags' syntax. Its log goes where glog's flags say.

    program: the name in its log's file names. others: flags, with values, of other commands, which it accepts and
    ignores with a warning.
    """

    context_class = help_text.Context
    program: str | None = None
    others: ClassVar[tuple[str, ...]] = ()

    def invoke(self, ctx: click.Context) -> Any:
        handlers = log.start(flags=log_flags.applied(ctx.meta[LOG_FLAGS]), program=self.program or self.name or "")
        try:
            for name in ctx.meta[OTHERS]:
                log.warning("caffe.cpp:420", f"-{name} is a flag of other commands; {self.name} ignores it.")
            return super().invoke(ctx)
        finally:
            log.stop(handlers)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[LOG_FLAGS], ctx.meta[OTHERS] = {}, []
        try:
            spelt_out = list(_spelt_out(args, self, ctx))
        except EngineError as e:
            raise click.UsageError(str(e)) from e
        return super().parse_args(ctx, spelt_out)


def command_first(args: list[str], commands: Container[str]) -> list[str]:
    """`args` with the command moved to the front, where click wants it; gflags allows `caffe -solver=x train`.

    `caffe -version` and `caffe -help` need no command.
    """
    if not args or not args[0].startswith("-"):
        return args
    at = next((i for i, arg in enumerate(args) if arg in commands), None)
    if at is None:
        name = args[0].lstrip("-")
        return [_ALONE.get(name, f"--{name}"), *args[1:]]
    return [args[at], *args[:at], *args[at + 1 :]]


def own(arg: str, rest: Iterator[str]) -> tuple[str, str] | None:
    """The name and value of `arg` if it is one of gflags' own flags, otherwise None.

    A value that is an argument of its own is taken from `rest`. Raises EngineError if the value is missing.
    """
    name, equals, value = arg.lstrip("-").partition("=")
    if name not in _OWN or not arg.startswith("-"):
        return None
    if not equals and (value := next(rest, "")) == "":
        raise EngineError(f"-{name} needs a value: -{name}={'FILE' if name == 'flagfile' else 'NAME,…'}.")
    return name, value


def undefined_allowed(argv: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """`argv` without -undefok, and the names of the flags that -undefok allows to be unknown, with their `no` forms.

    Raises EngineError if -undefok has no value.
    """
    arguments: list[str] = []
    names: set[str] = set()
    rest = iter(argv)
    for arg in rest:
        flag = own(arg, rest) if arg != "--" else None
        if flag is not None and flag[0] == "undefok":
            names |= {prefix + name for name in flag[1].split(",") if name for prefix in ("", "no")}
            continue
        arguments.append(arg)
        if arg == "--":
            arguments += rest
    return arguments, frozenset(names)


def _spelt_out(args: list[str], command: click.Command, ctx: click.Context) -> Iterator[str]:
    """`args` in click's spelling. Flags of glog and of other commands are left out and noted in `ctx.meta`."""
    others = command.others if isinstance(command, Command) else ()
    options = {p.opts[0].lstrip("-"): p for p in command.get_params(ctx) if isinstance(p, click.Option)}
    args, may_be_unknown = undefined_allowed(args)
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            yield from (arg, *rest)
            return
        if len(arg) < 2 or arg[0] != "-":
            yield arg
            continue
        if (of_the_log := log_flags.read(arg, rest)) is not None:
            ctx.meta[LOG_FLAGS].update(of_the_log)
            continue
        name, equals, value = arg.lstrip("-").partition("=")
        name = "help" if name in HELP else name
        if name in others and name not in options:
            ctx.meta[OTHERS].append(name)
            if not equals:
                next(rest, None)
        elif (
            name.startswith("no")
            and (option := options.get(name[2:])) is not None
            and option.is_bool_flag
            and not equals
        ):
            yield f"--{name}"
        elif name not in options and name in may_be_unknown:
            continue
        elif name not in options:
            raise click.UsageError(_unknown(arg, name, options, ctx.command_path))
        elif options[name].is_bool_flag:
            yield f"--{name}" if log_flags.truth(name, value if equals else "true") else f"--no{name}"
        else:
            text = value if equals else next(rest, None)
            yield f"--{name}" if text is None else f"--{name}={text}"


def _unknown(arg: str, name: str, options: dict[str, Any], command: str) -> str:
    near = suggest.closest(name, options, 3, cutoff=0.5)
    suggestion = f"did you mean {' or '.join(f'-{n}' for n in near)}? " if near else ""
    return f'unknown flag "{arg.partition("=")[0]}"; {suggestion}`{command} --help` lists them all.'
