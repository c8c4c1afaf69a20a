"""`caffe.draw`: pictures of nets, by Graphviz where it is installed, as SVG or pixels without it."""

from pathlib import Path
from typing import Any

from engine.errors import NetError
from engine.host import atomic_file
from engine.proto import caffe_pb2 as pb
from engine.proto import upgrade

from .drawing import diagram, dot, layout, raster, svg
from .errors import ArgumentError

DIRECTIONS = {"LR": "LR", "RL": "RL", "TB": "TB", "BT": "BT", "UD": "TB"}
"""The words for where a net goes, and Graphviz's for it; UD is DIGITS's."""

SOURCE = ("raw", "gv")
"""Endings of files in Graphviz's language; so is .dot, to which Graphviz adds where everything lies."""


def draw_net(
    caffe_net: pb.NetParameter,
    rankdir: str = "LR",
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The picture of a net as the bytes of a file in the format `ext`.

    rankdir: where it goes: LR, to the right; RL, TB, BT. phase: TRAIN, TEST, or None for all layers. display_lrm: show
    learning rates too. Formats: svg, png, jpg, …; raw, Graphviz's language; with Graphviz all of its own, as pdf.
    Raises NetError.
    """
    rankdir = _direction(rankdir)
    source = _diagram(caffe_net, phase, display_lrm=display_lrm)
    form = ext.lower()
    if form in SOURCE or (form == "dot" and not dot.is_installed()):
        return dot.text(source, rankdir).encode()
    if dot.is_installed():
        return dot.run(dot.text(source, rankdir), form)
    drawing = layout.lay_out(source, rankdir)
    if form == "svg":
        return svg.write(drawing)
    if form in raster.FORMATS:
        return raster.write(drawing, form)
    raise NetError(
        f'there is no format "{ext}" without Graphviz; there are svg, {", ".join(raster.FORMATS)} and raw. For pdf, ps '
        "and others install Graphviz, so that `dot` is on PATH."
    )


def draw_net_to_file(
    caffe_net: pb.NetParameter,
    filename: str | Path,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """`draw_net` into a file, whole or not at all, in the format that its ending names. Raises NetError."""
    ending = Path(filename).suffix[1:]
    if not ending:
        raise NetError(f"{filename}: the ending of a picture's name says its format: net.png, net.svg.")
    picture = draw_net(caffe_net, rankdir, ending, phase, display_lrm)
    with atomic_file.writing(filename, NetError):
        atomic_file.replace(filename, picture)


def get_pydot_graph(
    caffe_net: pb.NetParameter,
    rankdir: str = "LR",
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """The net as a graph of pydot. Raises NetError where pydot is not installed."""
    try:
        import pydot  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  no part of what the engine needs
    except ModuleNotFoundError as e:
        raise NetError(
            f"get_pydot_graph needs pydot, and {e.name} is not installed: pip install pydot. draw_net and "
            "draw_net_to_file do without."
        ) from e
    source = _diagram(caffe_net, phase, label_edges=label_edges, display_lrm=display_lrm)
    graphs = pydot.graph_from_dot_data(dot.text(source, _direction(rankdir)))
    assert graphs
    return graphs[0]


def _direction(rankdir: str) -> str:
    if rankdir not in DIRECTIONS:
        raise NetError(f'rankdir "{rankdir}": a net is drawn in one of the directions {", ".join(DIRECTIONS)}.')
    return DIRECTIONS[rankdir]


def _diagram(net: pb.NetParameter, phase: int | None, **shown: bool) -> diagram.Diagram:
    if not isinstance(net, pb.NetParameter):
        raise ArgumentError(
            f"a NetParameter is drawn, and this is {type(net).__name__}: net = caffe_pb2.NetParameter(); "
            "google.protobuf.text_format.Merge(open(FILE).read(), net)."
        )
    if net.layers:  # of before 2014
        modern = pb.NetParameter()
        modern.CopyFrom(net)
        net = upgrade.bring_up(modern, net.name or "the net")
    return diagram.of_net(net, phase, **shown)
