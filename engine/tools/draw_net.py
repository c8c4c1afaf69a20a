"""`draw_net.py NET PICTURE`, `caffe draw`: draws a net's layers and blobs."""

import sys
from collections.abc import Sequence

import click

from engine.tools import command
from engine.tools.command import tool

EPILOG = """\b
Examples:
  draw_net.py train_val.prototxt net.svg
  draw_net.py --rankdir TB --phase TRAIN --display_lrm train_val.prototxt net.png

Without Graphviz's `dot` on PATH, the formats are svg, png, jpg and other bitmaps, and raw, Graphviz's own language.
"""


@tool("draw_net.py", EPILOG)
@click.argument("net", metavar="NET")
@click.argument("picture", metavar="PICTURE")
@click.option(
    "--rankdir",
    type=click.Choice(["LR", "RL", "TB", "BT"]),
    default="LR",
    show_default=True,
    help="Draw the net in this direction: LR is left to right.",
)
@click.option(
    "--phase",
    type=click.Choice(["TRAIN", "TEST", "ALL"]),
    default="ALL",
    show_default=True,
    help="Draw the layers of this phase.",
)
@click.option("--display_lrm", is_flag=True, help="Also show the learning rate multipliers of layers that learn.")
def draw_net(net: str, picture: str, rankdir: str, phase: str, display_lrm: bool) -> None:
    """Draw the graph of NET, a prototxt, to PICTURE, in the format of its file extension."""
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415  --help does not need these
    from engine.proto import text  # noqa: PLC0415
    from engine.python.caffe import draw  # noqa: PLC0415

    param = text.read_net(net)
    print(f"Drawing net to {picture}")
    phase_number = None if phase == "ALL" else pb.Phase.Value(phase)
    draw.draw_net_to_file(param, picture, rankdir, phase_number, display_lrm)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(draw_net, argv)


if __name__ == "__main__":
    sys.exit(main())
