"""Decoding of sequences: CTCGreedyDecoder and LabelsequenceAccuracy."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape
from engine.layers.registry import layer
from engine.layers.sequences import SequenceLayer, sequence_lengths
from engine.ops import ctc


@layer("CTCGreedyDecoder")
class CTCGreedyDecoder(SequenceLayer):
    """The labels of the best path (N, T, 1, 1), padded with −1: the best class of each step, without blanks.

    ctc_merge_repeated merges equal labels in consecutive steps. blank_index below 0 means the last class.
    Bottoms: x (T, N, C), and indicators (T, N), 0 where the next sequence begins. Without indicators
    (senlinuc/caffe_ocr), all steps count, and blank_index is 0 by default.
    A third bottom (T, N), the true labels, ended by a negative one, gives a last top (1, 1, 1, 1): 1 − the mean of the
    edit distances, each divided by the length of the longer sequence. A top in between: −Σ of the largest scores.
    In nets of caffe_ocr, the second bottom (N, L) holds the true labels, and the only top (1, 2, 1, 1) that same
    measure and the share of items decoded without error.
    """

    bottoms = (1, 3)
    tops = (1, 3)

    def setup(self, x: Shape, *rest: Shape) -> list[Shape]:
        p = self.config.ctc_decoder_param
        self.steps, self.items, self.classes = steps, items, classes = self.check_scores(x)
        self.judged = len(rest) == 1 and ("WarpCTCLoss" in self.node.beside or rest[0][:2] != (steps, items))
        if self.judged and (len(rest[0]) < 2 or rest[0][0] != items):
            raise self.error(
                f"{self.bottom(1)} has shape {list(rest[0])}; it must be ({steps}, {items}), indicators, or "
                f"({items}, labels)."
            )
        for i, shape in enumerate(() if self.judged else rest, 1):
            self.check_steps(i, shape)
        usual = 0 if self.judged or not rest else -1
        blank = p.blank_index if p.HasField("blank_index") else usual
        if blank >= classes:
            raise self.error(f"blank_index is {blank}; it must be below {classes}, or -1 for the last class.")
        self.blank_class, self.merge = classes - 1 if blank < 0 else blank, p.ctc_merge_repeated
        return self._tops(len(rest))

    def _tops(self, extra: int) -> list[Shape]:
        """The tops' shapes, which depend on the number of bottoms after x and on the number of tops in the net."""
        row, score, measure = (self.items, self.steps, 1, 1), (self.items, 1, 1, 1), (1, 1, 1, 1)
        named = len(self.config.top)
        if self.judged:
            return [(1, 2, 1, 1)]
        self.scores = (extra == 1 and named == 2) or (extra == 2 and named == 3)
        self.measures = extra == 2 and named > 1
        return [row, *([score] if self.scores else []), *([measure] if self.measures else [])]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, *rest = (stop_gradient(b) for b in bottoms)
        steps, items = self.steps, self.items
        x = x.reshape(steps, items, self.classes)
        lengths = jnp.full(items, steps)
        if rest and not self.judged:
            lengths = sequence_lengths(rest[0].reshape(steps, items))
        rows, counts = ctc.best_path(x, lengths, self.blank_class, self.merge)
        if self.judged:
            right = rest[0].reshape(items, -1)
            return [jnp.stack(self._measured(rows, counts, right, blanks=False)).reshape(1, 2, 1, 1)]
        tops = [rows.astype(x.dtype).reshape(items, steps, 1, 1)]
        if self.scores:
            largest = jnp.where(jnp.arange(steps)[:, None] < lengths, jnp.max(x, axis=2), 0)
            tops.append(-jnp.sum(largest, axis=0).reshape(items, 1, 1, 1))
        if self.measures:
            near, _ = self._measured(rows, counts, rest[1].reshape(steps, items).T, blanks=True)
            tops.append(near.reshape(1, 1, 1, 1))
        return tops

    def _measured(self, rows: Array, counts: Array, right: Array, *, blanks: bool) -> tuple[Array, Array]:
        """Returns the similarity of the rows to the true labels (N, L), and the share of exact matches. blanks: whether
        blanks among the labels count."""
        labels = (right + 0.5).astype(jnp.int32)
        kept = jnp.cumsum(right < 0, axis=1) == 0
        truth, long = ctc.packed(labels, kept if blanks else kept & (labels != self.blank_class))
        distances = ctc.edit_distances(rows, counts, truth, long)
        longer = jnp.maximum(counts, long)
        faulty = distances / jnp.maximum(longer, 1)
        return 1 - jnp.mean(faulty), jnp.mean((distances == 0) & (longer > 0), dtype=faulty.dtype)


@layer("LabelsequenceAccuracy")
class LabelsequenceAccuracy(SequenceLayer):
    """The share of items whose best path equals their labels (xmfbit/warpctc-caffe, DeepDetect).

    Bottoms: x (N, T, C); labels (N, L), where blank_label is padding.
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        self.items, self.steps, self.classes = self.check_scores(x, "batch, steps, classes")
        self.check_rows(1, labels)
        self.blank_class = self.config.labelsequence_accuracy_param.blank_label
        return [()]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = (stop_gradient(b) for b in bottoms)
        scores = x.reshape(self.items, self.steps, self.classes).swapaxes(0, 1)
        read, counts = ctc.best_path(scores, jnp.full(self.items, self.steps), self.blank_class, merge=True)
        labels = labels.reshape(self.items, -1).astype(jnp.int32)
        right, true_counts = ctc.packed(labels, labels != self.blank_class)
        longest = max(self.steps, right.shape[1])
        read, right = (jnp.pad(r, ((0, 0), (0, longest - r.shape[1])), constant_values=-1) for r in (read, right))
        return [jnp.mean(jnp.all(read == right, axis=1) & (counts == true_counts), dtype=x.dtype)]
