"""Layers for images whose labels say what is in them but not where (DeepLab): UniqueLabel, (Adaptive)BiasChannel."""

import jax
import jax.numpy as jnp
from jax import lax

from engine.layers.base import Array, Arrays, Context, Layer, Shape, rows
from engine.layers.registry import layer

NO_LABEL = -1
"""The padding of a list of labels."""


@layer("UniqueLabel")
class UniqueLabel(Layer):
    """The sorted labels of each image, with every `force_label` and without any `ignore_label`, padded with −1.

    An image with more than max_labels gets NaN. Bottom: labels (N, 1, H, W). Top: (N, max_labels, 1, 1). No gradient.
    """

    def setup(self, labels: Shape) -> list[Shape]:
        p = self.config.unique_label_param
        if len(labels) != 4 or labels[1] != 1:
            raise self.error(f"{self.bottom(0)} has shape {list(labels)}; N × 1 × H × W is needed.")
        self.ignored, self.forced, self.most = sorted(set(p.ignore_label)), sorted(set(p.force_label)), p.max_labels
        if self.most <= len(self.forced):
            raise self.error(f"max_labels is {self.most}; it must be more than the {len(self.forced)} force_label.")
        return [(labels[0], self.most, 1, 1)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        labels = rows(lax.stop_gradient(bottoms[0]))
        labels = jnp.where(jnp.isin(labels, jnp.array(self.ignored, labels.dtype)), jnp.inf, labels)
        forced = jnp.broadcast_to(jnp.array(self.forced, labels.dtype), (len(labels), len(self.forced)))
        spare = jnp.full((len(labels), self.most + 1), jnp.inf, labels.dtype)
        rising = jnp.sort(jnp.concatenate([labels, forced, spare], axis=1), axis=1)
        repeated = jnp.pad(rising[:, 1:] == rising[:, :-1], ((0, 0), (1, 0)))
        unique = jnp.sort(jnp.where(repeated, jnp.inf, rising), axis=1)[:, : self.most + 1]
        too_many = jnp.isfinite(unique[:, -1:])
        listed = jnp.where(jnp.isinf(unique[:, :-1]), NO_LABEL, unique[:, :-1])
        return [jnp.where(too_many, jnp.nan, listed).reshape(self.top_shapes[0])]


class _Labelled(Layer):
    """The base of layers that read scores (N, C, H, W) and lists of labels (N, K, 1, 1) or label maps (N, 1, H, W)."""

    bottoms = (2, 2)

    def check_list(self, x: Shape, labels: Shape, maps: bool = False) -> None:
        """Raises LayerError unless the shapes are those of scores and lists, or with `maps` of scores and maps."""
        expected = (*x[:1], 1, *x[2:]) if maps else (*labels[:2], 1, 1)
        if len(x) != 4 or len(labels) != 4 or labels[0] != x[0] or not labels[1] or labels != expected:
            form = "N × 1 × H × W" if maps else "N × K × 1 × 1"
            raise self.error(
                f"{self.bottom(0)} has shape {list(x)} and {self.bottom(1)} {list(labels)}; N × C × H × W and {form} "
                "are needed."
            )

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0


@layer("BiasChannel")
class BiasChannel(_Labelled):
    """Adds a bias to the scores of the labelled classes: bg_bias to the background, fg_bias to the others.

    Labels are a list per image (IMAGE), where 0 is the background, or a map (PIXEL), where the background_label is
    raised at each labelled position too, if it or bg_bias is given. −1 and each ignore_label are ignored; a label that
    is out of range makes its image NaN. Bottoms: scores (N, C, H, W), labels (N, K, 1, 1) or (N, 1, H, W). Top: the
    scores.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.bias_channel_param
        self.by_place = p.label_type == p.PIXEL
        self.check_list(x, labels, self.by_place)
        if p.bg_bias < 0 or p.fg_bias < 0:
            raise self.error(f"bg_bias is {p.bg_bias:g} and fg_bias {p.fg_bias:g}; neither may be below 0.")
        self.backs = p.HasField("background_label") or p.HasField("bg_bias")
        self.back, self.biases = p.background_label, (p.bg_bias, p.fg_bias)
        self.ignored = sorted({NO_LABEL, *p.ignore_label})
        if self.by_place and self.backs and not 0 <= self.back < x[1]:
            raise self.error(f"background_label is {self.back}; the {x[1]} classes are 0 to {x[1] - 1}.")
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = bottoms[0], lax.stop_gradient(bottoms[1]).astype(jnp.int32)
        classes = jnp.arange(x.shape[1])
        back, fore = self.biases
        counts = ~jnp.isin(labels, jnp.array(self.ignored, jnp.int32))
        if self.by_place:
            named = (labels == classes[:, None, None]) & counts
            is_back = (classes == self.back)[:, None, None] & self.backs
            bias = jnp.where(is_back, back * counts, fore * named)
        else:
            hits = jnp.sum((labels[:, :, 0] == classes) & counts[:, :, 0], axis=1)
            bias = (hits * jnp.where(classes == 0, back, fore))[:, :, None, None]
        wrong = jnp.any(counts & ((labels < 0) | (labels >= len(classes))), axis=(1, 2, 3), keepdims=True)
        return [x + jnp.where(wrong, jnp.nan, bias).astype(x.dtype)]


@layer("AdaptiveBiasChannel")
class AdaptiveBiasChannel(_Labelled):
    """Raises scores until each label of an image wins its share of the positions, bg_portion or fg_portion.

    For each label in turn, num_iter times, its scores are raised by that quantile of their distance to the highest
    score of the labels. Then all scores are shifted so that the mean of the highest is unchanged. With suppress_others,
    scores of other classes are first limited to margin_others below the lowest of the labels. The fork takes the labels
    other than the background in random order; here they are in ascending order. There is no gradient.
    Bottoms: scores (N, C, H, W), labels (N, K, 1, 1), −1 for none. Top: the scores.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.adaptive_bias_channel_param
        self.check_list(x, labels)
        if p.num_iter < 1 or p.margin_others < 0:
            raise self.error(f"num_iter is {p.num_iter} and margin_others {p.margin_others:g}; give at least 1 and 0.")
        for field in ("bg_portion", "fg_portion"):
            if not 0 <= getattr(p, field) <= 1:
                raise self.error(f"{field} is {getattr(p, field):g}; it must lie between 0 and 1.")
        places = x[2] * x[3]
        if not places:
            raise self.error(f"{self.bottom(0)} of shape {list(x)} has no positions.")
        self.ranks = [min(int(portion * places), places - 1) for portion in (p.bg_portion, p.fg_portion)]
        self.rounds, self.margin = p.num_iter, p.margin_others if p.suppress_others else None
        return [x]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = map(lax.stop_gradient, bottoms)
        flat = x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])
        return [jax.vmap(self._adapted)(flat, labels[:, :, 0, 0].astype(jnp.int32)).reshape(x.shape)]

    def _adapted(self, scores: Array, labels: Array) -> Array:
        """Adapts the scores (C, positions) of one image with `labels` (K)."""
        classes = len(scores)
        present = jnp.any(labels[:, None] == jnp.arange(classes), axis=0)[:, None]
        original = scores
        if self.margin is not None:
            lowest = jnp.min(jnp.where(present, scores, jnp.inf), axis=0)
            scores = jnp.where(~present & (scores > lowest), lowest - self.margin, scores)
        highest = jnp.max(jnp.where(present, scores, -jnp.inf), axis=0)
        rising, count = jnp.sort(labels), len(labels)

        def raised(step: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            scores, top = state
            label = rising[step % count]
            row = jnp.maximum(label, 0)
            distance = jnp.sort(top - scores[row])[jnp.where(label == 0, *self.ranks)]
            higher = scores.at[row].add(jnp.where(label < 0, 0, distance))
            return higher, jnp.where(label < 0, top, jnp.maximum(top, higher[row]))

        scores, top = lax.fori_loop(0, self.rounds * count, raised, (scores, highest))
        wrong = jnp.any((labels < NO_LABEL) | (labels >= classes))
        adapted = jnp.where(jnp.any(present), scores + (jnp.mean(highest) - jnp.mean(top)), original)
        return jnp.where(wrong, jnp.nan, adapted)
