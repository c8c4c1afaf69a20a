"""Which layers and bottoms a backward pass reaches, by Caffe's rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.graph.graph import Node, Value


@dataclass(frozen=True)
class NeedsBackward:
    """layers[i]: whether layer i runs backward. bottoms[i][j]: whether it computes the gradient of its j-th bottom."""

    layers: tuple[bool, ...]
    bottoms: tuple[tuple[bool, ...], ...]


def needs_backward(
    nodes: Sequence[Node],
    tops: Sequence[Sequence[Value]],
    learns: Sequence[bool],
    loss_weights: Sequence[Sequence[float]],
    forced: Sequence[Sequence[bool]] | None = None,
) -> NeedsBackward:
    """BVLC Caffe's rule (net.cpp): a gradient is needed between a learnable parameter and a loss that depends on it,
    unless propagate_down or force_backward says otherwise.

    The arguments have an entry per layer: its node, its tops, whether any of its parameters is learned, and one loss
    weight per top. forced, with force_backward only: for each bottom, whether force_backward may ask for its gradient.
    """
    above = _above(nodes, tops, learns)
    needed = _and_below(above, nodes, tops, loss_weights)
    if forced is None:
        return needed
    bottoms = zip(needed.bottoms, forced, strict=True)
    return NeedsBackward(
        (True,) * len(nodes), tuple(tuple(a or b for a, b in zip(*rows, strict=True)) for rows in bottoms)
    )


def _above(nodes: Sequence[Node], tops: Sequence[Sequence[Value]], learns: Sequence[bool]) -> NeedsBackward:
    """What depends on a learnable parameter, from the first layer to the last."""
    needs: dict[Value, bool] = {}
    layers, bottoms = [], []
    for node, own_tops, learned in zip(nodes, tops, learns, strict=True):
        bottom_needs = [needs[v] for v in node.bottoms]
        layers.append(learned or any(bottom_needs))
        bottoms.append(tuple(node.config.propagate_down or bottom_needs))
        needs.update(dict.fromkeys(own_tops, layers[-1]))
    return NeedsBackward(tuple(layers), tuple(bottoms))


def _and_below(
    above: NeedsBackward,
    nodes: Sequence[Node],
    tops: Sequence[Sequence[Value]],
    loss_weights: Sequence[Sequence[float]],
) -> NeedsBackward:
    """The part of `above` that a loss also depends on, from the last layer to the first."""
    layers, bottoms = list(above.layers), list(above.bottoms)
    under_loss: set[Value] = set()
    skipped: set[Value] = set()
    for i in reversed(range(len(nodes))):
        contributes = any(w or v in under_loss for v, w in zip(tops[i], loss_weights[i], strict=True))
        reached = any(v not in skipped for v in tops[i])
        layers[i] = layers[i] and contributes and reached
        if not layers[i]:
            bottoms[i] = (False,) * len(bottoms[i])
        if contributes:
            under_loss.update(nodes[i].bottoms)
        skipped.update(v for v, need in zip(nodes[i].bottoms, bottoms[i], strict=True) if not need)
    return NeedsBackward(tuple(layers), tuple(bottoms))
