"""Recurrent layers: checks of their bottoms, and the shapes of their tops and parameters, computed without JAX."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from engine.graph import fits
from engine.graph.graph import Node
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]


class Kind(NamedTuple):
    """states: how many arrays (N, D) are passed from step to step. gates: rows of input weights per output."""

    states: int
    gates: int


KINDS = {"RNN": Kind(1, 1), "LSTM": Kind(2, 4)}


class Unrolled(NamedTuple):
    """The number of outputs per step, whether there is a static input, how many states are exposed as bottoms and tops,
    and the shapes of the tops."""

    outputs: int
    static: bool
    exposed: int
    tops: list[Shape]


def unrolled(node: Node, bottoms: Sequence[Shape]) -> Unrolled:
    """An RNN or LSTM with the bottoms x (T, N, …), cont (T, N), maybe a static input, and exposed states. Raises
    LayerError if they do not fit."""
    x, cont, *rest = bottoms
    p = node.config.recurrent_param
    d = fits.outputs(node, "recurrent_param", p.num_output)
    if len(x) < 2 or cont != x[:2]:
        raise node.error(
            f"{node.bottom(0)} of shape {list(x)} must be (steps, streams, …) and {node.bottom(1)} of shape "
            f"{list(cont)} one marker for each step and stream."
        )
    steps, streams = x[:2]
    exposed = KINDS[node.config.type].states if p.expose_hidden else 0
    _check_hidden(node, len(rest), exposed)
    static = len(rest) - exposed == 1
    if static and rest[0][:1] != (streams,):
        raise node.error(f"{node.bottom(2)} of shape {list(rest[0])} must have {streams} rows, one for each stream.")
    for j, shape in enumerate(rest[static:], 2 + static):
        if shape != (1, streams, d):
            raise node.error(f"{node.bottom(j)} of shape {list(shape)} must be of shape {[1, streams, d]}.")
    return Unrolled(d, static, exposed, [(steps, streams, d), *[(1, streams, d)] * exposed])


def _check_hidden(node: Node, rest: int, exposed: int) -> None:
    tops = len(node.config.top)
    if rest not in (exposed, exposed + 1) or tops != 1 + exposed:
        hidden = f", and with expose_hidden {exposed} states" if exposed else ""
        raise node.error(
            f"it has {2 + rest} bottoms and {tops} tops; it takes x, cont and at most one static input{hidden}, "
            f"and makes {1 + exposed}."
        )


def params(node: Node, bottoms: Sequence[Shape]) -> list[tuple[str, Shape]]:
    """The name and shape of each parameter. Raises LayerError as `unrolled` does, and for a wrong filler."""
    unrolling = unrolled(node, bottoms)
    d, gates = unrolling.outputs, KINDS[node.config.type].gates * unrolling.outputs
    declared = [("input weight", (gates, prod(bottoms[0][2:]))), ("bias", (gates,))]
    declared += [("static weight", (gates, prod(bottoms[2][1:])))] if unrolling.static else []
    declared += [("hidden weight", (gates, d))]
    declared += [("output weight", (d, d)), ("output bias", (d,))] if node.config.type == "RNN" else []
    for name, shape in declared:
        fits.filler(node, filler(node, name), shape)
    return declared


def filler(node: Node, name: str) -> pb.FillerParameter:
    """The filler of the parameter called `name`."""
    p = node.config.recurrent_param
    return p.bias_filler if name.endswith("bias") else p.weight_filler


def unit(node: Node, c: Shape, gates: Shape, cont: Shape) -> list[Shape]:
    """The tops of an LSTMUnit. Raises LayerError if its bottoms do not fit."""
    if len(c) != 3 or c[0] != 1 or gates != (1, c[1], 4 * c[2]) or cont != (1, c[1]):
        raise node.error(
            f"bottoms of shapes {list(c)}, {list(gates)} and {list(cont)} must be of shapes (1, N, D), (1, N, 4 D) "
            "and (1, N)."
        )
    return [c, c]
