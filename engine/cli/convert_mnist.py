"""`caffe convert_mnist`: the tool `convert_mnist_data` by another name."""

import click


@click.command(
    "convert_mnist", context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def convert_mnist(args: tuple[str, ...]) -> int | None:
    """Makes an LMDB or LevelDB of MNIST's idx files."""
    from engine.tools import convert_mnist_data  # noqa: PLC0415

    return convert_mnist_data.main(list(args))
