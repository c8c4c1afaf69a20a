"""LRN: local response normalisation."""

from engine.layers.base import Layer, Shape
from engine.layers.registry import layer
from engine.ops.lrn import normalize_across, normalize_within


@layer("LRN")
class LRN(Layer):
    """y = x / (k + α/n · Σ x²)^β, the sum over n = `local_size` neighbours (Krizhevsky et al., 2012).

    ACROSS_CHANNELS: along the channels. WITHIN_CHANNEL: over n × n of rows and columns; there α/n² and k = 1, as in
    Caffe, whatever `k` says.
    Bottom: x (N, C, H, W). Top: y, of x's shape.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.lrn_param
        if len(x) != 4:
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; LRN takes 4 axes: num, channels, height, width.")
        if p.local_size % 2 == 0:
            raise self.error(f"local_size is {p.local_size}; it must be odd.")
        return [x]

    def forward(self, params, bottoms, ctx):
        (x,) = bottoms
        p = self.config.lrn_param
        if p.norm_region == p.ACROSS_CHANNELS:
            return [normalize_across(x, p.local_size, p.alpha, p.beta, p.k)]
        return [normalize_within(x, p.local_size, p.alpha, p.beta)]
