"""`caffe NAME`: Caffe's tools, which are also programs of their own."""

import importlib
from collections.abc import Iterator

import click

TOOLS = {
    "classification": "Print the five most likely classes of a picture.",
    "compute_image_mean": "Compute the mean image of a database.",
    "convert_annoset": "Build a database of pictures with their bounding boxes.",
    "convert_cifar_data": "Build databases from CIFAR-10's binary batches.",
    "convert_imageset": "Build a database from the pictures in a list.",
    "convert_mat": "Build a database from a MATLAB .mat file.",
    "convert_mnist_data": "Build a database from MNIST's idx files.",
    "convert_mnist_siamese_data": "Build a database of pairs of MNIST digits.",
    "create_label_map": "Write a label map for a list of classes.",
    "extract_features": "Write a net's blobs, computed from its data, to databases or files.",
    "get_image_size": "Write the names and sizes of the pictures in a list.",
    "upgrade_net_proto_binary": "Upgrade a .caffemodel to the current format.",
    "upgrade_net_proto_text": "Upgrade a net's prototxt to the current format.",
    "upgrade_solver_proto_text": "Upgrade a solver's prototxt to the current format.",
}
"""The modules of engine/tools, with their lines in `caffe --help`."""

SHORT = {"convert_mnist": "convert_mnist_data"}


def commands() -> Iterator[click.Command]:
    """A command for each tool, which passes its arguments on. A tool's module is imported only when it is run."""
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
