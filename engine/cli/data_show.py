"""`caffe data show`: the output of a net's data layer, as a picture."""

from typing import TYPE_CHECKING

import click

from engine.cli import flags

if TYPE_CHECKING:
    from engine.layers.base import SourceLayer
    from engine.proto import caffe_pb2 as pb

EPILOG = """\b
Examples:
  caffe data show train_val.prototxt
  caffe data show train_val.prototxt -phase TEST -n 100 -out test.png
"""


@click.group("data", cls=flags.Group)
def data() -> None:
    """Look at the data that nets are fed."""


@data.command(cls=flags.Command, epilog=EPILOG)
@click.argument("net", metavar="NET.prototxt")
@flags.layers
@click.option(
    "--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN", show_default=True, help="Phase to show."
)
@click.option("--out", default="sheet.png", show_default=True, metavar="FILE", help="The PNG to write.")
@click.option("--n", type=click.IntRange(1, 1000), default=32, show_default=True, help="How many pictures to draw.")
@click.option("--layer", default="", metavar="NAME", help="The data layer to show, if the net has several.")
@click.option("--level", type=int, default=0, show_default=True, help="The net's level (NetState).")
@click.option("--stage", default="", metavar="NAME,…", help="The net's stages (NetState).")
def show(net: str, phase: str, out: str, n: int, layer: str, level: int, stage: str) -> None:
    """Draw the first pictures of a data layer, after all transformations, with their labels."""
    from engine.data.contact_sheet import contact_sheet, first_pictures, write  # noqa: PLC0415  it imports OpenCV
    from engine.errors import DataError  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415

    state = pb.NetState(phase=phase, level=level, stage=[name for name in stage.split(",") if name])
    shown = _data_layer(net, state, layer)
    source = shown.open(seed=0)
    try:
        pictures, captions = first_pictures(source, n)
    except DataError as e:
        raise shown.error(str(e)) from e
    finally:
        source.close()
    sheet = contact_sheet(pictures, captions)
    write(out, sheet)
    size = "×".join(map(str, pictures[0].shape))
    click.echo(
        f'{out}: {len(pictures)} pictures of layer "{shown.name}" in {phase}, the first of {size} (channels × height × '
        f"width); {sheet.low:g} is black, {sheet.high:g} white."
    )


def _data_layer(path: str, state: "pb.NetState", name: str) -> "SourceLayer":
    """The data layer called `name`, set up; for "", the net's only data layer. Raises DataError."""
    from engine import layers  # noqa: F401, PLC0415  registers them
    from engine.errors import DataError  # noqa: PLC0415
    from engine.graph.build import build_graph  # noqa: PLC0415
    from engine.layers.base import SourceLayer  # noqa: PLC0415
    from engine.layers.registry import create  # noqa: PLC0415
    from engine.solver.settings import read_net  # noqa: PLC0415

    spec = read_net(path, state)
    nodes = build_graph(spec.param, spec.state, spec.path).nodes
    sources = [create(node) for node in nodes if not node.bottoms]
    by_name = {each.name: each for each in sources if isinstance(each, SourceLayer) and each.reads_data}
    if name not in by_name and (name or len(by_name) != 1):
        names = ", ".join(by_name) or "none"
        complaint = f'there is no data layer "{name}"' if name else "name one data layer with -layer"
        raise DataError(f"{path}: {complaint}; the net's data layers in this phase are: {names}.")
    source = by_name[name] if name else next(iter(by_name.values()))
    source.build([], [None] * len(source.config.top))
    return source
