"""The command line: one file a command, loaded only when that command is called."""

import os
import signal
import sys
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from engine.errors import EngineError
from engine.help_text import Context
from engine.host import standard_streams
from hpcbrew.cli.output import say, warn
from hpcbrew.errors import HpcbrewError
from hpcbrew.submit.interrupts import Interrupted

# Name → what `hpcbrew --help` says of it. The module of the same name holds the command, as `command`.
COMMANDS = {
    "new": "Make a folder to train from: of your own pictures, or of a model that ships.",
    "submit": "Submit a solver as a job, and follow it if you like.",
    "status": "Show your jobs: state, iteration, time left.",
    "logs": "Show a job's log, or follow it while it grows.",
    "fetch": "Bring a job's models, logs and metrics home.",
    "resume": "Go on with a job from its last snapshot.",
    "sweep": "Train with every combination of some settings, as one array job.",
    "plot": "Draw the curves of jobs, in the terminal or as a picture.",
    "compare": "Show the jobs of a sweep, or several jobs, side by side.",
    "adopt": "Take up jobs that were submitted from another machine.",
    "open": "Open a shell in a job's run folder.",
    "hold": "Keep jobs that wait from being started.",
    "release": "Let held jobs go.",
    "cancel": "Cancel jobs.",
    "rm": "Take jobs that have ended away, with their run folders.",
    "clean": "Take away old jobs, and data that no job needs.",
    "setup": "Make a cluster ready: a login without a password, scratch, the engine.",
    "data": "Look into databases of pictures.",
    "cluster": "List, show, add and check clusters.",
    "config": "Set the cluster, project, walltime … to use when none is given.",
    "completion": "Print a script that completes commands and job names in your shell.",
}

SENDING = {"submit", "resume", "sweep"}
"""Commands that say what came of the job where they are interrupted once it is on its way."""

EPILOG = """\b
Examples:
  hpcbrew submit solver.prototxt --cluster local --follow
  hpcbrew submit solver.prototxt --cluster iitd --project ee --gpu --dry-run
  hpcbrew status
  hpcbrew logs -f lenet

\b
Exit status:
  0    all went well
  1    something unexpected; the message says what
  2    bad input: nothing was submitted, nothing is left behind
  130  interrupted by Ctrl-C

submit --follow ends as the job does: with its own exit status, 124 out of
walltime, 143 cancelled, 1 lost or never ran.
"""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used, and not to list it."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"hpcbrew.cli.{name}").command
        for each in (command, *getattr(command, "commands", {}).values()):
            each.context_class = Context
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise BrokenPipeError from None  # click would end with 1 for one that has the system's number

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [CompletionItem(name, help=help) for name, help in COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)  # a group's own would load every command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hpcbrew")
def group() -> None:
    """Train Caffe networks on an HPC cluster: submit a solver, watch it train, get the model."""


def main() -> None:
    """The `hpcbrew` command. Errors of this project and of the engine's reading of nets end it with one message."""
    color = False if os.environ.get("NO_COLOR") else None
    try:
        standard_streams.open_missing()
        status = group.main(prog_name="hpcbrew", standalone_mode=False, color=color)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message(), err=True)
        status = error.exit_code
    except click.ClickException as error:
        from hpcbrew.cli.wording import in_words  # noqa: PLC0415 - for a message alone

        warn(f"error: {in_words(error)}")
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever presses it again need not wait
        if not isinstance(error.__cause__ or error, Interrupted):
            say("hpcbrew: interrupted" + (": nothing was submitted" if SENDING & set(sys.argv[1:2]) else ""), err=True)
        status = 130
    except (HpcbrewError, EngineError) as error:
        warn(f"error: {error}")
        status = getattr(error, "status", 2)
    except RecursionError:
        warn("error: what was given is nested too deep")
        status = 2
    except BrokenPipeError:
        standard_streams.drop_output()  # its reader has gone, as `head` does
        status = 141
    except OSError as error:
        warn(f"error: {standard_streams.refused(error)}")
        status = 1
    sys.exit(status or 0)
