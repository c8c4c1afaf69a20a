"""The flags that several commands of `caffe` share."""

import os
from typing import ClassVar

import click

from engine import gflags, help_text
from engine.data import bad_records, local_copy
from engine.job_contract import Variable
from engine.proto import raw_bytes
from engine.tools import command

CAFFES = (
    *("gpu", "iterations", "level", "model", "phase", "sighup_effect", "sigint_effect", "snapshot", "solver", "stage"),
    "weights",
)
"""The flags of BVLC's `caffe`, in which every command accepts all of them."""

layers, fork = command.layers_option, command.fork_option

precision = click.option(
    "--precision",
    type=click.Choice(["float32", "tf32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="tf32: multiply in TF32, on GPUs. bfloat16: compute convolutions and inner products in bfloat16. Parameters "
    "stay float32.",
)


level = click.option(
    "--level",
    type=click.IntRange(-(2**31), 2**31 - 1),
    default=0,
    show_default=True,
    help="The net's level (NetState).",
)


def names(value: str) -> list[str]:
    """The comma-separated stages in a flag."""
    return [raw_bytes.kept(name) for name in value.split(",") if name]


def _skipping(ctx: click.Context, _: click.Parameter, enabled: bool) -> None:
    ctx.with_resource(bad_records.skipping(enabled))


skip_bad_records = click.option(
    "--skip_bad_records",
    is_flag=True,
    expose_value=False,
    callback=_skipping,
    help="Skip and count records that cannot be used, instead of stopping at the first.",
)


def _copying(ctx: click.Context, _: click.Parameter, folder: str) -> None:
    ctx.with_resource(local_copy.into(folder))


local_copy_flag = click.option(
    "--local_copy",
    metavar="DIR",
    default=lambda: os.environ.get(Variable.LOCAL_DISK, ""),
    show_default=f"${Variable.LOCAL_DISK}, or none",
    expose_value=False,
    callback=_copying,
    help="First copy the databases to this folder on the node's local disk.",
)


class Command(gflags.Command):
    """A command of `caffe`."""

    program = "caffe"
    others: ClassVar = CAFFES


class Group(help_text.Group):
    """A group of such commands."""

    command_class = Command
