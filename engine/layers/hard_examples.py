"""Online hard example mining: selects the regions of a batch to train on (Shrivastava et al. 2016; R-FCN)."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer


@layer("BoxAnnotatorOHEM")
class BoxAnnotatorOHEM(Layer):
    """Keeps the labels and box weights of the `roi_per_img` regions of each image with the largest loss.

    All other regions get ignore_label and weights of 0. Among equal losses, the earlier region is kept first.
    Bottoms: regions (R, 5, H, W): image, x1, y1, x2, y2; losses and labels, R · H · W each; box weights (R, K, H, W).
    Axes H and W may be omitted. Tops: labels (R, 1, H, W), weights (R, K, H, W). There is no gradient.
    """

    bottoms = (4, 4)
    tops = (2, 2)

    def setup(self, rois: Shape, losses: Shape, labels: Shape, weights: Shape) -> list[Shape]:
        p = self.config.box_annotator_ohem_param
        if not p.roi_per_img:
            raise self.error("box_annotator_ohem_param needs roi_per_img of 1 or more.")
        if not 2 <= len(rois) <= 4 or rois[1] != 5:
            raise self.error(f"{self.bottom(0)} has shape {list(rois)}; it must be R × 5: picture, x1, y1, x2, y2.")
        n, _, h, w = (*rois, 1, 1)[:4]
        for i, shape in ((1, losses), (2, labels)):
            if count(shape) != n * h * w:
                raise self.error(
                    f"{self.bottom(i)} has shape {list(shape)}; {n * h * w} values are needed, one per region."
                )
        if not 2 <= len(weights) <= 4 or (weights[0], *(*weights, 1, 1)[2:4]) != (n, h, w):
            raise self.error(f"{self.bottom(3)} has shape {list(weights)}; {n} × K × {h} × {w} is needed.")
        self.number, self.ignore = min(p.roi_per_img, count(losses)), p.ignore_label
        return [(n, 1, h, w), (n, weights[1], h, w)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        rois, losses, labels, weights = map(stop_gradient, bottoms)
        shape, weights_shape = self.top_shapes
        pictures = rois.reshape(shape[0], 5, -1)[:, 0].reshape(-1)
        order = jnp.lexsort((-losses.reshape(-1), pictures))
        grouped = pictures[order]
        rank = jnp.arange(len(order)) - jnp.searchsorted(grouped, grouped)
        hard = jnp.zeros(len(order), bool).at[order].set(rank < self.number).reshape(shape)
        chosen = jnp.where(hard, labels.reshape(shape), self.ignore).astype(labels.dtype)
        return [chosen, jnp.where(hard, weights.reshape(weights_shape), 0)]
