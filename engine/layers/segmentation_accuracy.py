"""SegAccuracy: how well the pixels of images are classified (DeepLab, PSPNet)."""

import jax
import jax.numpy as jnp

from engine.graph import predictions
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("SegAccuracy")
class SegAccuracy(Layer):
    """Three measures of the confusion matrix: accuracy, mean recall, and mean intersection over union.

    The prediction is the class with the largest score, the last among equals. Classes that do not occur in the labels
    are excluded from the mean recall; in the mean intersection over union they count, with 1 if they are not predicted
    either, as in the forks. Positions with an ignore_label do not count. With `reset: false`, the confusion matrix
    accumulates from pass to pass.
    Bottoms: scores (N, C, H, W), labels (N, 1, H, W). Top: (1, 1, 1, 3). It has no gradient.
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.seg_accuracy_param
        predictions.one_a_place(self.node, x, labels)
        if not x[1]:
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; it needs one class or more.")
        self.classes, self.ignored, self.adds_up = x[1], sorted(set(p.ignore_label)), not p.reset
        if self.adds_up:
            self.remember("confusion", (self.classes, self.classes))
        return [(1, 1, 1, 3)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        x, labels = map(jax.lax.stop_gradient, bottoms)
        last = self.classes - 1 - jnp.argmax(x[:, ::-1], axis=1)
        truth = labels[:, 0].astype(jnp.int32)
        counts = ~jnp.isin(truth, jnp.array(self.ignored, jnp.int32))
        valid = (truth >= 0) & (truth < self.classes)
        confusion = jnp.zeros((self.classes, self.classes), x.dtype)
        confusion = confusion.at[jnp.where(valid, truth, 0), last].add(counts & valid)
        confusion = jnp.where(jnp.any(counts & ~valid), jnp.nan, confusion)
        if self.adds_up:
            confusion = confusion + params[0]
        return [_figures(confusion).reshape(1, 1, 1, 3)], {0: confusion} if self.adds_up else {}


def _figures(confusion: Array) -> Array:
    """Accuracy, mean recall and mean intersection over union, from counts (truth, prediction)."""
    right, truth, predicted = jnp.diagonal(confusion), jnp.sum(confusion, 1), jnp.sum(confusion, 0)
    either = truth + predicted - right
    return jnp.stack(
        [
            jnp.sum(right) / jnp.maximum(jnp.sum(truth), 1),
            jnp.sum(right / jnp.maximum(truth, 1)) / jnp.maximum(jnp.sum(truth > 0), 1),
            jnp.mean(jnp.where(either == 0, 1, right / jnp.maximum(either, 1))),
        ]
    )
