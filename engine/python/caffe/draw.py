"""`caffe.draw`: draws nets, with Graphviz if it is installed, otherwise as SVG or bitmaps."""

from pathlib import Path
from typing import Any

from engine.errors import NetError
from engine.host import atomic_file
from engine.proto import caffe_pb2 as pb
from engine.proto import upgrade

from .drawing import diagram, dot, layout, raster, svg
from .errors import ArgumentError

DIRECTIONS = {"LR": "LR", "RL": "RL", "TB": "TB", "BT": "BT", "UD": "TB"}
"""The directions in which a net can be drawn, and Graphviz's names for them; UD is from DIGITS."""

SOURCE = ("raw", "gv")
"""Extensions of files in Graphviz's language. So is .dot, but to that Graphviz adds the positions."""


def draw_net(
    caffe_net: pb.NetParameter,
    rankdir: str = "LR",
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The drawing of a net as the bytes of a file in the format `ext`.

    rankdir: the direction: LR, left to right; RL, TB, BT. phase: TRAIN, TEST, or None for all layers. display_lrm: also
    show learning rate multipliers. Formats: svg, png, jpg, …; raw, Graphviz's language; with Graphviz also all of its
    formats, such as pdf. Raises NetError.
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
        f'format "{ext}" is not available without Graphviz; svg, {", ".join(raster.FORMATS)} and raw are. For pdf, ps '
        "and others install Graphviz, so that `dot` is on PATH."
    )


def draw_net_to_file(
    caffe_net: pb.NetParameter,
    filename: str | Path,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draws to a file, whole or not at all, in the format given by its extension. Raises NetError."""
    extension = Path(filename).suffix[1:]
    if not extension:
        raise NetError(f"{filename}: the file extension must give the format: net.png, net.svg.")
    picture = draw_net(caffe_net, rankdir, extension, phase, display_lrm)
    with atomic_file.writing(filename, NetError):
        atomic_file.replace(filename, picture)


def get_pydot_graph(
    caffe_net: pb.NetParameter,
    rankdir: str = "LR",
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """The net as a pydot graph. Raises NetError if pydot is not installed."""
    try:
        import pydot  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  not a dependency of the engine
    except ModuleNotFoundError as e:
        raise NetError(
            f"get_pydot_graph needs pydot, but {e.name} is not installed: pip install pydot. draw_net and "
            "draw_net_to_file do not need it."
        ) from e
    source = _diagram(caffe_net, phase, label_edges=label_edges, display_lrm=display_lrm)
    graphs = pydot.graph_from_dot_data(dot.text(source, _direction(rankdir)))
    assert graphs
    return graphs[0]


def _direction(rankdir: str) -> str:
    if rankdir not in DIRECTIONS:
        raise NetError(f'rankdir "{rankdir}": it must be one of {", ".join(DIRECTIONS)}.')
    return DIRECTIONS[rankdir]


def _diagram(net: pb.NetParameter, phase: int | None, **shown: bool) -> diagram.Diagram:
    if not isinstance(net, pb.NetParameter):
        raise ArgumentError(
            f"caffe.draw needs a NetParameter, not {type(net).__name__}: net = caffe_pb2.NetParameter(); "
            "google.protobuf.text_format.Merge(open(FILE).read(), net)."
        )
    if net.layers:  # the format used before 2014
        modern = pb.NetParameter()
        modern.CopyFrom(net)
        net = upgrade.bring_up(modern, net.name or "the net")
    return diagram.of_net(net, phase, **shown)
