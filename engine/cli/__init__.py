"""`caffe COMMAND`: Caffe's command line, with Caffe's own flags.

Exit statuses: 0 for success, also when Ctrl-C stopped the run after a snapshot; 1 for a fault of the program; 2 for an
error that the user can correct; 75 when SIGTERM or the deadline ended the run after a snapshot, so that it can be
resumed; 130 when Ctrl-C was pressed twice.
"""

import os
import re
import shlex
import sys
import traceback
from collections.abc import Sequence

import click

from engine import CAFFE_VERSION, gflags, printable, terminal_text
from engine.cli import (
    data_show,
    device_query,
    env,
    flags,
    models,
    parse_log,
    plot_log,
    show,
    test,
    timing,
    tools,
    train,
)
from engine.errors import DivergedError, EngineError, not_installed
from engine.host import flag_files, standard_streams
from engine.job_contract import ERROR_PREFIX, ExitCode, Variable
from engine.tools import draw_net

EPILOG = """\b
Examples:
  caffe train -solver solver.prototxt -gpu 0
  caffe train -solver solver.prototxt -snapshot lenet_iter_5000.solverstate
  caffe train -solver finetune.prototxt -weights pretrained.caffemodel
  caffe test  -model train_val.prototxt -weights lenet_iter_10000.caffemodel -iterations 100
  caffe time  -model train_val.prototxt -iterations 10
"""


@click.group(cls=flags.Group, epilog=EPILOG, context_settings={"help_option_names": ["--help", "-h"]})
@click.version_option(package_name="hpcbrew", message=f"caffe version {CAFFE_VERSION}\nhpcbrew %(version)s")
def caffe() -> None:
    """Train, test and time Caffe nets on GPUs or the CPU.

    Flags can be written in any of gflags' forms: -flag value, -flag=value, --flag. glog's flags work too: -log_dir DIR
    also writes the log to files, -minloglevel N logs less. -flagfile=FILE reads flags from a file, one per line.
    """


for command in (
    *(train.train, test.test, timing.time, device_query.device_query, data_show.data),
    *(models.models, show.show, parse_log.parse_log, plot_log.plot_log, env.env, *tools.commands()),
):
    caffe.add_command(command)
caffe.add_command(draw_net.draw_net, "draw")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status. Errors that the user can correct print a message, no traceback."""
    standard_streams.open_missing()
    if Variable.COORDINATOR not in os.environ:
        return _run(argv)
    try:
        status = _run(argv)
    except Exception:
        traceback.print_exc()
        status = ExitCode.FAULT
    if status in (ExitCode.FAULT, ExitCode.WRONG, ExitCode.DIVERGED, ExitCode.INTERRUPTED):
        # A normal exit of Python would wait for the job's other nodes, which in turn wait for this one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _run(argv: Sequence[str] | None) -> int:  # noqa: PLR0911 - one line an end
    try:
        args = flag_files.expanded(sys.argv[1:] if argv is None else argv, "caffe")
        args = gflags.command_first(args, caffe.commands)
        status = caffe.main(args, prog_name="caffe", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as e:
        click.echo(e.format_message())
        return ExitCode.DONE  # as Caffe does
    except click.ClickException as e:
        return _fail(_missing(e, args) if isinstance(e, click.MissingParameter) else _in_words(e))
    except EngineError as e:
        return _fail(str(e), ExitCode.DIVERGED if isinstance(e, DivergedError) else ExitCode.WRONG)
    except MemoryError as e:
        return _fail(f"this machine has too little memory. {e}".rstrip())
    except OSError as e:
        return _fail(standard_streams.refused(e), ExitCode.FAULT)
    except ModuleNotFoundError as e:
        return _fail(not_installed(e))
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("caffe: interrupted\n")
        return ExitCode.INTERRUPTED
    return status if isinstance(status, int) else ExitCode.DONE


def _in_words(error: click.ClickException, advice: str = "") -> str:
    """The message, with flags in Caffe's spelling, followed by `advice` or, without any, a pointer to the help."""
    message = re.sub(r"'--(\w+)'", r"-\1", error.format_message())
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if not advice and ctx and "--help" not in message and not message.endswith("?"):
        advice = f"`{ctx.command_path} --help` says more."
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} {advice}".rstrip()


def _missing(error: click.MissingParameter, args: Sequence[str]) -> str:
    """The message. If the file was given without its flag (`caffe train solver.prototxt`), it suggests the command."""
    bare = [arg for arg in args[1:] if arg.endswith(".prototxt") and not arg.startswith("-")]
    if not bare or error.param is None or error.param.name not in ("solver", "model"):
        return _in_words(error)
    meant = [part for arg in args for part in ((f"-{error.param.name}", arg) if arg == bare[0] else (arg,))]
    return _in_words(error, f"Did you mean: caffe {shlex.join(meant)}")


def _fail(message: str, status: int = ExitCode.WRONG) -> int:
    text = terminal_text.wrapped(f"{ERROR_PREFIX}{printable.message(message)}", sys.stderr)
    sys.stderr.write(f"{text}\n")
    return status
