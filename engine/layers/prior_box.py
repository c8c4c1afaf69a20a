"""PriorBox, the default boxes from which a detector predicts offsets (Liu et al. 2016), and PriorBoxClustered."""

import jax.numpy as jnp
import numpy as np

from engine.graph import priors
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("PriorBox")
class PriorBox(Layer):
    """Boxes around each position of a feature map, as fractions of the image, and their variances (SSD).

    Each position has, for each min_size, a square of that size, a square of √(min_size · max_size), and boxes of
    min_size stretched to each aspect_ratio a and, with `flip`, 1/a. Sizes are truncated to whole pixels, as in the
    fork. With `denser_prior_boxes`, each box is followed by a copy centred on the lower edge of its row (TextBoxes++).
    Bottoms: features (N, C, H, W), and the image (N, 3, h, w), of which only the size matters.
    Top: (1, 2, H · W · boxes · 4): xmin, ymin, xmax, ymax of each box; the variances of each.
    """

    def setup(self, features: Shape, *picture: Shape) -> list[Shape]:
        shape = priors.shape(self.node, features, *picture)
        self.check_size("its top", shape)
        height, width = priors.picture_size(self.node, *picture)
        rows, columns = features[2:]
        step_y, step_x = priors.step(self.node, (height / rows, width / columns))
        offset = np.float32(self.config.prior_box_param.offset)
        y = (np.arange(rows, dtype=np.float32) + offset) * np.float32(step_y)
        x = (np.arange(columns, dtype=np.float32) + offset) * np.float32(step_x)
        # Halved and divided in double precision, as in the fork.
        sizes = np.array(list(priors.sizes(self.node)), np.float32).astype(np.float64)
        centres = np.stack(np.broadcast_arrays(x, y[:, None]), -1)[:, :, None].astype(np.float64)
        if priors.denser(self.node):
            lower = ((np.arange(rows) + 1.0) * np.float32(step_y)).astype(np.float32)
            below = np.stack(np.broadcast_arrays(x, lower[:, None]), -1)[:, :, None]
            centres = np.tile(np.concatenate([centres, below], 2), (1, 1, len(sizes), 1))
            sizes = np.repeat(sizes, 2, 0)
        corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], -1)
        boxes = (corners / [width, height, width, height]).astype(np.float32)
        if self.config.prior_box_param.clip:
            boxes = np.clip(boxes, 0, 1)
        variances = np.broadcast_to(np.array(priors.variances(self.node), np.float32), boxes.shape)
        self.priors = np.stack([boxes.ravel(), variances.ravel()])[None]
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jnp.asarray(self.priors)]

    def propagates_to(self, bottom: int) -> bool:
        return False


@layer("PriorBoxClustered")
class PriorBoxClustered(PriorBox):
    """A PriorBox whose box sizes are listed in width and height, in pixels of the image (OpenVINO's models)."""
