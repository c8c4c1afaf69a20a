"""`draw_net.py NET PICTURE`: a picture of a net's layers and blobs."""

import argparse
import sys
from collections.abc import Sequence

from engine.tools import command

EPILOG = """examples:
  draw_net.py train_val.prototxt net.svg
  draw_net.py --rankdir TB --phase TRAIN --display_lrm train_val.prototxt net.png

Without Graphviz's `dot` on PATH there are svg, png, jpg and other pixels, and raw, Graphviz's own language.
"""

RANKDIRS = ("LR", "RL", "TB", "BT")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        "draw_net.py",
        description="Draw a graph of a net.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input_net_proto_file", metavar="NET", help="the net's prototxt")
    parser.add_argument("output_image_file", metavar="PICTURE", help="the file to write; its ending says its format")
    parser.add_argument("--rankdir", default="LR", choices=RANKDIRS, help="where the net goes: LR, left to right (LR)")
    parser.add_argument(
        "--phase", default="ALL", choices=["TRAIN", "TEST", "ALL"], help="the phase whose layers are drawn (ALL)"
    )
    parser.add_argument("--display_lrm", action="store_true", help="show learning rates too, where something learns")
    left, flags = command.arguments(parser.prog, argv)
    args = parser.parse_args(left)
    return command.run(parser.prog, lambda: draw(args), flags)


def draw(args: argparse.Namespace) -> None:
    """Does what the arguments say. Raises EngineErrors."""
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415  what --help does without
    from engine.proto import text  # noqa: PLC0415
    from engine.python.caffe import draw  # noqa: PLC0415

    net = text.read_net(args.input_net_proto_file)
    print(f"Drawing net to {args.output_image_file}")
    phase = None if args.phase == "ALL" else pb.Phase.Value(args.phase)
    draw.draw_net_to_file(net, args.output_image_file, args.rankdir, phase, args.display_lrm)


if __name__ == "__main__":
    sys.exit(main())
