"""The options that `submit`, `resume` and `sweep` have in common. What is done with them, `sending` has: it is slow to
import, and `--help` needs none of it."""

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
    """A callback for click that reads a time or a size."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def _all(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, shown in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


resource_options = _all(
    click.option("--name", help="The job's name. Without it: the net's, or the folder's."),
    click.option("--nodes", type=POSITIVE, default=1, metavar="N", help="How many nodes.", show_default=True),
    click.option("--gpu", is_flag=True, help="One GPU on each node."),
    click.option("--gpus-per-node", type=POSITIVE, metavar="N", help="N GPUs on each node."),
    click.option("--gpu-type", metavar="TYPE", help="Which kind of GPU: see hpcbrew cluster show."),
    click.option("--cpus", type=POSITIVE, metavar="N", help="N cores on each node."),
    click.option("--mem", callback=_parsed(units.asked_size), metavar="SIZE", help="Memory of each node, as 24G."),
    click.option(
        "--weights", type=PATH, multiple=True, help="Start from this .caffemodel. May be given several times."
    ),
    modules_of_layers("Take along modules with layers of your own, as my_layers.py."),
)

queue_options = _all(
    click.option("--walltime", callback=_parsed(units.asked_time), metavar="TIME", help="HH:MM:SS, or 12h, or 90m."),
    click.option("--queue", help="The queue. Without it: the cluster's default."),
    click.option("--project", help="The project (account) that pays."),
    click.option("--after", metavar="JOB", shell_complete=complete_job, help="Start when that job has ended well."),
    click.option("--mail", metavar="ADDRESS", help="Let PBS write there when the job ends."),
)


def _flag(name: str, help_text: str, **attributes: Any) -> Callable[[Any], Any]:
    """An option whose value goes to `caffe train` as it is."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is None or value is False:
            return
        given = "" if value is True else str(value)
        if not re.fullmatch(VALUES[name], given):
            raise click.BadParameter(f"{given!r}, where {attributes.get('metavar', 'another value')} is taken")
        ctx.params["flags"] = (*ctx.params.get("flags", ()), (name, given))

    option = f"--{name.replace('_', '-')}"
    return click.option(option, expose_value=False, callback=callback, help=help_text, **attributes)


training_options = _all(
    _flag(
        "precision", "Faster arithmetic; parameters stay float32.", type=click.Choice(VALUES["precision"].split("|"))
    ),
    _flag(
        "recompute",
        "Take less of a GPU's memory: compute blobs between layers with weights anew for the gradient.",
        is_flag=True,
        default=None,
    ),
    _flag(
        "nan",
        "When a number is not finite: stop or warn naming the layer; ignore, as Caffe. Default: a loss stops it.",
        type=click.Choice(VALUES["nan"].split("|")),
    ),
    _flag("skip_bad_records", "Go on past records that cannot be used, and count them.", is_flag=True, default=None),
    _flag("warmup", "Let the learning rate rise for N iterations.", type=POSITIVE, metavar="N"),
    _flag("keep", "Keep the last N snapshots, and that of the best test.", type=POSITIVE, metavar="N"),
    _flag("watch", "The test output that tells which parameters are best.", metavar="OUTPUT"),
    _flag("early_stop", "Stop after N tests without a better --watch.", type=POSITIVE, metavar="N"),
    _flag("class_weights", "How much each class counts in the softmax loss.", metavar="W,W,…"),
)

chain_options = _all(
    click.option("--chain", type=click.IntRange(min=2), metavar="N", help="Go on in up to N jobs, from snapshots."),
    click.option("--until-done", is_flag=True, help="Go on in as many jobs as it takes."),
)


sending_options = _all(
    click.option("--dry-run", is_flag=True, help="Show what would be sent and asked for; submit nothing."),
    click.option("--full", is_flag=True, help="With --dry-run: the job script, every file and the commands too."),
    click.option("--follow", is_flag=True, help="Stay and show the training until it ends. Ctrl-C lets it go on."),
    json_option,
)
