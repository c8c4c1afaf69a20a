"""Which layers, bottoms and blobs a backward pass reaches, by Caffe's rule."""

from typing import TYPE_CHECKING

from engine.graph.graph import Value

if TYPE_CHECKING:
    from engine.net.net import Net


class Backward:
    """Which layers, bottoms and blobs Caffe's backward pass reaches.

    layers[i]: whether layer i runs backward. bottoms[i][j]: whether it computes the gradient of its j-th bottom.
    The rule is BVLC Caffe's (net.cpp): a gradient is needed where a learnable parameter lies above it and a loss below,
    unless propagate_down or force_backward says otherwise.
    """

    def __init__(self, net: "Net") -> None:
        self.layers: list[bool] = []
        self.bottoms: list[list[bool]] = []
        needs: dict[Value, bool] = {}
        for i, node in enumerate(net.graph.nodes):
            asked = list(node.config.propagate_down)
            self.bottoms.append([asked[j] if asked else needs[v] for j, v in enumerate(node.bottoms)])
            learns = any(net.params[k].learned for k in net.param_ids[i])
            self.layers.append(learns or any(needs[v] for v in node.bottoms))
            needs.update(dict.fromkeys(net.tops[i], self.layers[i]))
        self._drop_what_no_loss_needs(net)
        if net.graph.param.force_backward:
            for i, layer in enumerate(net.layers):
                self.layers[i] = True
                row = self.bottoms[i]
                self.bottoms[i] = [need or layer.propagates_to(j) for j, need in enumerate(row)]

    def _drop_what_no_loss_needs(self, net: "Net") -> None:
        under_loss: set[Value] = set()
        skipped: set[Value] = set()
        for i in reversed(range(len(net.layers))):
            tops, weights = net.tops[i], net.loss_weights[i]
            contributes = any(w or v in under_loss for v, w in zip(tops, weights, strict=True))
            reached = any(v not in skipped for v in tops)
            if not contributes or not reached:
                self.layers[i] = False
            if not self.layers[i]:
                self.bottoms[i] = [False] * len(self.bottoms[i])
            for value, need in zip(net.graph.nodes[i].bottoms, self.bottoms[i], strict=True):
                if contributes:
                    under_loss.add(value)
                if not need:
                    skipped.add(value)
