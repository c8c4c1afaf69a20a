"""How every tool begins and ends: gflags' flags, a status, one line without a traceback where the user is wrong."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from engine import gflags, printable, terminal_text
from engine.errors import EngineError, not_installed
from engine.host import flag_files, standard_streams
from engine.proto.fork_numbers import NUMBERS
from engine.tools.layers_option import modules_of_layers

DONE, USAGE, REFUSED, WRONG, INTERRUPTED, TERMINATED = 0, 1, 1, 2, 130, 143
"""Exit statuses: what caffe's commands have, and Caffe's own 1 where arguments are missing."""


backend_option = click.option(
    "--backend", type=click.Choice(["lmdb", "leveldb"]), default="lmdb", show_default=True, help="The kind of database."
)


layers_option = modules_of_layers("Modules with layers of your own, as my_layers.py.")


def _saying(ctx: click.Context, _: click.Parameter, fork: str | None) -> None:
    if fork:
        from engine.proto import fork_wire  # noqa: PLC0415  it imports protobuf: --help does without

        ctx.with_resource(fork_wire.saying(fork))


fork_option = click.option(
    "--fork",
    type=click.Choice(list(NUMBERS)),
    metavar="NAME",
    expose_value=False,
    callback=_saying,
    help="The fork, as ssd or pspnet, whose binary nets are read and written. Without it, a net's layers tell.",
)


def tool(name: str, epilog: str | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a function with click's options and arguments the tool `name`, whose flags are gflags'."""
    return click.command(
        name,
        cls=gflags.Command,
        epilog=epilog,
        options_metavar="[FLAGS]",
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )


def run(of: click.Command, argv: Sequence[str] | None = None) -> int:
    """Runs a tool with `argv`, or the process's arguments.

    Returns 0; 1 and shows the usage where arguments are missing, as Caffe's tools do; 2 with one line for what the user
    can put right; 1 for what the system refuses; 130 for Ctrl-C, 143 for SIGTERM, both of which leave nothing half
    made.
    """
    name = of.name or ""
    standard_streams.open_missing()
    try:
        args = flag_files.expanded(sys.argv[1:] if argv is None else argv, name)
        with _terminated_in_order():
            of.main(args, prog_name=name, standalone_mode=False)
            sys.stdout.flush()
    except click.MissingParameter as e:
        click.echo(e.ctx.get_help() if e.ctx else e.format_message(), err=True)
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        print(f"{name}: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except _Terminated:
        print(f"{name}: terminated.", file=sys.stderr)
        return TERMINATED
    except (EngineError, click.ClickException, MemoryError, ModuleNotFoundError) as e:
        _complain(name, _said(e))
        return WRONG
    except OSError as e:
        _complain(name, standard_streams.refused(e))
        return REFUSED
    return DONE


class _Terminated(BaseException):
    """SIGTERM, as a scheduler sends it before it kills."""


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """SIGTERM inside raises, as Ctrl-C does; where somebody else handles it, it stays theirs."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(*_: object) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _complain(name: str, words: str) -> None:
    print(terminal_text.wrapped(f"{name}: error: {printable.message(words)}", sys.stderr), file=sys.stderr)


def _said(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, MemoryError):
        return f"this machine has too little memory. {error}".rstrip()
    return not_installed(error) if isinstance(error, ModuleNotFoundError) else str(error)
