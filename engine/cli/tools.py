"""`caffe NAME`: Caffe's tools, which are there by their own names as well."""

import importlib
from collections.abc import Iterator

import click

TOOLS = {
    "classification": "Tells the likeliest classes of a picture.",
    "compute_image_mean": "Computes the mean picture of a database.",
    "convert_annoset": "Makes a database of pictures and the boxes on them.",
    "convert_cifar_data": "Makes databases of CIFAR-10's binary batches.",
    "convert_imageset": "Makes a database of the pictures in a list.",
    "convert_mat": "Makes a database of MATLAB's .mat files.",
    "convert_mnist_data": "Makes a database of MNIST's idx files.",
    "convert_mnist_siamese_data": "Makes a database of pairs of MNIST's digits.",
    "create_label_map": "Makes the label map of a list of classes.",
    "extract_features": "Writes what a net makes of its data into databases or files.",
    "get_image_size": "Writes the names and sizes of the pictures in a list.",
    "upgrade_net_proto_binary": "Brings a net with its parameters to today's form.",
    "upgrade_net_proto_text": "Brings the definition of a net to today's form.",
    "upgrade_solver_proto_text": "Brings a solver to today's form.",
}
"""The modules of engine/tools, with what `caffe --help` says."""

SHORT = {"convert_mnist": "convert_mnist_data"}


def commands() -> Iterator[click.Command]:
    """A command for each tool, which hands its arguments on; modules are loaded when they are asked for."""
    for name in (*TOOLS, *SHORT):
        yield click.Command(
            name,
            context_settings={"ignore_unknown_options": True, "help_option_names": []},
            add_help_option=False,
            help=TOOLS[SHORT.get(name, name)],
            params=[click.Argument(["args"], nargs=-1, type=click.UNPROCESSED)],
            callback=_runs(SHORT.get(name, name)),
        )


def _runs(name: str):  # type: ignore[no-untyped-def]
    def call(args: tuple[str, ...]) -> int:
        return int(importlib.import_module(f"engine.tools.{name}").main(list(args)))

    return call
