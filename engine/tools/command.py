"""What all tools share: flags in gflags' syntax, exit statuses, and user errors printed as one line, no traceback."""

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
"""Exit statuses: those of caffe's commands, except for Caffe's own 1 when arguments are missing."""


backend_option = click.option(
    "--backend", type=click.Choice(["lmdb", "leveldb"]), default="lmdb", show_default=True, help="The kind of database."
)


layers_option = modules_of_layers("Python modules that define layers of your own, e.g. my_layers.py.")


def _saying(ctx: click.Context, _: click.Parameter, fork: str | None) -> None:
    if fork:
        from engine.proto import fork_wire  # noqa: PLC0415  imports protobuf, which --help does not need

        ctx.with_resource(fork_wire.saying(fork))


fork_option = click.option(
    "--fork",
    type=click.Choice(list(NUMBERS)),
    metavar="NAME",
    expose_value=False,
    callback=_saying,
    help="Read and write binary nets of this fork of Caffe, e.g. ssd or pspnet. Default: inferred from the layers.",
)


def tool(name: str, epilog: str | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """Decorates a function that has click options and arguments: makes it the tool `name`, with gflags' syntax."""
    return click.command(
        name,
        cls=gflags.Command,
        epilog=epilog,
        options_metavar="[FLAGS]",
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )


def run(of: click.Command, argv: Sequence[str] | None = None) -> int:
    """Runs a tool with `argv`, by default the process's arguments, and returns its exit status.

    0: success. 1: arguments are missing, and the usage is shown, as by Caffe's tools; or an OS error. 2: an error that
    the user can correct, printed in one line. 130: Ctrl-C. 143: SIGTERM. The last two leave nothing half-written.
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
    """SIGTERM, which schedulers send before they kill."""


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Makes SIGTERM raise an exception inside the block, as Ctrl-C does, unless another handler is installed."""
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
