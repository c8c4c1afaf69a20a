"""The options that `submit`, `resume` and `sweep` share. What is done with them is in `sending`, which is slow to
import and which `--help` does not need."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from engine.tools.layers_option import modules_of_layers
from hpcbrew import units
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.train_flags import VALUES

POSITIVE = click.IntRange(min=1)
PATH = click.Path(path_type=Path)


def _parsed(parse: Callable[[str], int]) -> Any:
    """Returns a click callback that parses a time or a size."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def _all(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Combines several options into one decorator; `--help` shows them in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


node_options = _all(
    click.option("--cpus", type=POSITIVE, metavar="N", help="Use N cores on each node."),
    click.option("--mem", callback=_parsed(units.asked_size), metavar="SIZE", help="Memory per node, such as 24G."),
)

resource_options = _all(
    click.option("--name", help="The job's name. Default: the net's or the folder's."),
    click.option("--nodes", type=POSITIVE, default=1, metavar="N", help="Number of nodes.", show_default=True),
    click.option("--gpu", is_flag=True, help="Use one GPU on each node."),
    click.option("--gpus-per-node", type=POSITIVE, metavar="N", help="Use N GPUs on each node."),
    click.option("--gpu-type", metavar="TYPE", help="GPU model; hpcbrew cluster show lists those of a cluster."),
    node_options,
    click.option("--weights", type=PATH, multiple=True, help="Start from this .caffemodel; may be repeated."),
    modules_of_layers("Send along modules that define your own layers, such as my_layers.py."),
)

queue_options = _all(
    click.option("--walltime", callback=_parsed(units.asked_time), metavar="TIME", help="As HH:MM:SS, 12h or 90m."),
    click.option("--queue", help="The queue. Default: the cluster's default queue."),
    click.option("--project", help="The project (account) to charge."),
    click.option("--after", metavar="JOB", shell_complete=complete_job, help="Start once that job has succeeded."),
    click.option("--mail", metavar="ADDRESS", help="Have PBS send mail to this address when the job ends."),
)


def _flag(name: str, help_text: str, **attributes: Any) -> Callable[[Any], Any]:
    """Returns an option whose value is passed to `caffe train` unchanged."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is None or value is False:
            return
        text = "" if value is True else str(value)
        if not re.fullmatch(VALUES[name], text):
            raise click.BadParameter(f"{text!r} is not a valid {attributes.get('metavar', 'value')}")
        ctx.params["flags"] = (*ctx.params.get("flags", ()), (name, text))

    option = f"--{name.replace('_', '-')}"
    return click.option(option, expose_value=False, callback=callback, help=help_text, **attributes)


training_options = _all(
    _flag(
        "precision",
        "Compute faster, with less precision; parameters stay float32.",
        type=click.Choice(VALUES["precision"].split("|")),
    ),
    _flag(
        "recompute",
        "Use less GPU memory: recompute the blobs between layers with weights during the backward pass.",
        is_flag=True,
        default=None,
    ),
    _flag(
        "nan",
        "On a non-finite number: stop or warn, naming the layer; or ignore it, as Caffe does. Default: stop on a "
        "non-finite loss.",
        type=click.Choice(VALUES["nan"].split("|")),
    ),
    _flag("skip_bad_records", "Skip records that cannot be used, and count them.", is_flag=True, default=None),
    _flag("warmup", "Raise the learning rate gradually over the first N iterations.", type=POSITIVE, metavar="N"),
    _flag("keep", "Keep only the last N snapshots and that of the best test.", type=POSITIVE, metavar="N"),
    _flag("watch", "The test output that decides which parameters are best.", metavar="OUTPUT"),
    _flag("early_stop", "Stop after N tests without improvement of --watch.", type=POSITIVE, metavar="N"),
    _flag("class_weights", "Weight of each class in the softmax loss.", metavar="W,W,…"),
)

chain_options = _all(
    click.option("--chain", type=click.IntRange(min=2), metavar="N", help="Continue in further jobs, N at most."),
    click.option("--until-done", is_flag=True, help="Continue in as many jobs as the training takes."),
)


sending_options = _all(
    click.option("--dry-run", is_flag=True, help="Show what would be sent and requested; submit nothing."),
    click.option("--full", is_flag=True, help="With --dry-run: also show the job script, all files and the commands."),
    click.option("--follow", is_flag=True, help="Show the training until it ends. Ctrl-C detaches; the job goes on."),
    json_option,
)
