"""The command line: one file per command, imported only when that command is called."""

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

# Name → its line in `hpcbrew --help`. The module of the same name defines the command, as `command`.
COMMANDS = {
    "new": "Create a training folder from your own pictures or from a model that ships with hpcbrew.",
    "submit": "Submit a solver as a job, and optionally follow it.",
    "status": "Show your jobs: state, iteration, time left.",
    "logs": "Show a job's log, or follow it as it grows.",
    "fetch": "Download a job's models, logs and metrics.",
    "resume": "Continue a job from its last snapshot.",
    "sweep": "Train with every combination of some settings, as one array job.",
    "plot": "Plot training curves, in the terminal or as a picture.",
    "compare": "Show several jobs, or the jobs of a sweep, side by side.",
    "adopt": "Take over jobs that were submitted from another machine.",
    "open": "Open a shell in a job's run folder.",
    "hold": "Keep queued jobs from starting.",
    "release": "Release held jobs.",
    "cancel": "Cancel jobs.",
    "rm": "Remove jobs that have ended, and their run folders.",
    "clean": "Remove old jobs, or data that no job needs.",
    "setup": "Prepare a cluster: login without a password, scratch folder, engine.",
    "data": "Inspect databases of pictures.",
    "cluster": "List, show, add and check clusters.",
    "config": "Set defaults: the cluster, and for each cluster the project, walltime and so on.",
    "completion": "Print a script that makes your shell complete commands and job names.",
}

SENDING = {"submit", "resume", "sweep"}
"""Commands which, when interrupted, say whether a job was submitted."""

EPILOG = """\b
Examples:
  hpcbrew submit solver.prototxt --cluster local --follow
  hpcbrew submit solver.prototxt --cluster iitd --project ee --gpu --dry-run
  hpcbrew status
  hpcbrew logs -f lenet

\b
Exit status:
  0    success
  1    unexpected error; the message says what happened
  2    bad input: nothing was submitted, nothing is left behind
  130  interrupted by Ctrl-C

submit --follow exits as the job did: with the job's own exit status, or with
124 (out of walltime), 143 (cancelled) or 1 (lost or never ran).
"""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used, not to list it."""

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
            raise BrokenPipeError from None  # with the system's errno on it, click would exit with 1

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [CompletionItem(name, help=help) for name, help in COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)  # click's own imports every command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hpcbrew")
def group() -> None:
    """Train Caffe networks on an HPC cluster: submit a solver, watch it train, get the model."""


def main() -> None:
    """Runs the `hpcbrew` command. Errors of this project, and the engine's on reading nets, end it with one message."""
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
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends it at once
        if not isinstance(error.__cause__ or error, Interrupted):
            say("hpcbrew: interrupted" + (": nothing was submitted" if SENDING & set(sys.argv[1:2]) else ""), err=True)
        status = 130
    except (HpcbrewError, EngineError) as error:
        warn(f"error: {error}")
        status = getattr(error, "status", 2)
    except RecursionError:
        warn("error: the input is nested too deeply")
        status = 2
    except BrokenPipeError:
        standard_streams.drop_output()  # the reader has gone, as `head` does
        status = 141
    except OSError as error:
        warn(f"error: {standard_streams.refused(error)}")
        status = 1
    sys.exit(status or 0)
