"""Losses on sequences that are not aligned with their labels: connectionist temporal classification (CTC).

CtcLoss is from xmfbit/warpctc-caffe and DeepDetect, WarpCTCLoss from senlinuc/caffe_ocr, CTCLoss from ChWick/caffe and
TextBoxes++.
"""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.data.label_bounds import LabelBounds
from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import Loss
from engine.layers.registry import layer
from engine.layers.sequences import SequenceLayer, marked_lengths
from engine.ops import ctc
from engine.ops.replaced_gradient import unweighted, with_gradient_of


class SequenceLoss(SequenceLayer, Loss):
    """The base of the CTC losses, −ln p(labels | x) for scores x (T, N, C) or (T, N, C, 1)."""

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def scored(self, x: Array) -> Array:
        return jax.nn.log_softmax(x.reshape(-1, self.items, self.classes), axis=2)


@layer("CtcLoss")
class CtcLoss(SequenceLoss):
    """Σ −ln p(labels | x) / N over `time_step` steps; 0 for an item with more labels than fit (warp-ctc).

    The gradient is that of the sum, not of the mean, times loss_weight.
    Bottoms: x (T, N, alphabet_size), labels (N, L), where blank_label is padding.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.ctc_loss_param
        self.steps, self.items, self.classes = self.check_scores(x)
        self.check_rows(1, labels)
        if p.alphabet_size != self.classes:
            raise self.error(f"alphabet_size is {p.alphabet_size} and {self.bottom(0)} has {self.classes} classes.")
        if not 0 < p.time_step <= self.steps:
            raise self.error(
                f"time_step is {p.time_step}; it must be 1 to {self.steps}, the steps of {self.bottom(0)}."
            )
        if not 0 <= p.blank_label < self.classes:
            raise self.error(f"blank_label is {p.blank_label}; it must be 0 to {self.classes - 1}.")
        self.time_step, self.blank_class = p.time_step, p.blank_label
        return [()]

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {1: LabelBounds(self.classes, layer=self.node.shown)}

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        labels = bottoms[1].reshape(self.items, -1).astype(jnp.int32)
        rows, counts = ctc.packed(labels, labels != self.blank_class)
        lengths = jnp.full(self.items, self.time_step)
        log_likelihoods = ctc.log_likelihood(
            self.scored(bottoms[0]), rows, counts, lengths, self.blank_class, merge=True
        )
        total = jnp.sum(jnp.where(log_likelihoods > ctc.NEVER / 2, -log_likelihoods, 0))
        return [with_gradient_of(total / self.items, total)]


@layer("WarpCTCLoss")
class WarpCTCLoss(SequenceLoss):
    """The mean of −ln p(labels | x) over the items; 0 for an item with more labels than fit (senlinuc/caffe_ocr).

    The gradient is that of the sum, not of the mean, and does not depend on loss_weight.
    Bottoms: x (T, N, C), followed by labels (N, L), where blank_index is padding; or by the numbers of steps (N,) and
    of labels (N,) and by labels (L, N); or by indicators (T, N) and labels (T, N), see `marked_lengths`, where label 0
    means class 1 if blank_index is 0.
    """

    bottoms = (2, 4)

    def setup(self, x: Shape, *rest: Shape) -> list[Shape]:
        self.steps, self.items, self.classes = self.check_scores(x)
        self.blank_class = self.config.ctc_loss_param.blank_index  # 0 unless given
        if not 0 <= self.blank_class < self.classes:
            raise self.error(f"blank_index is {self.blank_class}; it must be 0 to {self.classes - 1}.")
        match rest:
            case (labels,):
                self.check_rows(1, labels)
            case (indicators, labels):
                self.check_steps(1, indicators)
                self.check_steps(2, labels)
            case (steps, counts, labels):
                for i, shape in ((1, steps), (2, counts)):
                    if count(shape) != self.items:
                        raise self.error(f"{self.bottom(i)} has shape {list(shape)}; it must be ({self.items},).")
                if len(labels) < 2 or labels[1] != self.items:
                    raise self.error(f"{self.bottom(3)} has shape {list(labels)}; it must be (labels, {self.items}).")
        return [()]

    def label_bounds(self) -> dict[int, LabelBounds]:
        labels = len(self.config.bottom) - 1
        classes = self.classes - (self.first_class if labels == 2 else 0)
        return {labels: LabelBounds(classes, -1 if labels > 1 else None, self.node.shown)}

    @property
    def first_class(self) -> int:
        """The class that label 0 means when there are indicators."""
        return 1 if self.blank_class == 0 else 0

    def targets_of(self, rest: Arrays) -> tuple[Array, Array, Array]:
        """Returns labels (N, L), and the numbers of labels and of steps, (N,) each."""
        if len(rest) == 1:
            labels = rest[0].reshape(self.items, -1).astype(jnp.int32)
            return *ctc.packed(labels, labels != self.blank_class), jnp.full(self.items, self.steps)
        if len(rest) == 2:
            indicators, labels = (x.reshape(self.steps, self.items) for x in rest)
            lengths, counts = marked_lengths(indicators, labels)
            return (labels.T + 0.5).astype(jnp.int32) + self.first_class, counts, lengths
        lengths, counts = (x.reshape(-1).astype(jnp.int32) for x in rest[:2])
        return rest[2].reshape(rest[2].shape[0], self.items).T.astype(jnp.int32), counts, lengths

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        rows, counts, lengths = self.targets_of(bottoms[1:])
        log_likelihoods = ctc.log_likelihood(
            self.scored(bottoms[0]), rows, counts, lengths, self.blank_class, merge=True
        )
        total = jnp.sum(jnp.where((log_likelihoods > ctc.NEVER / 2) & (lengths > 0), -log_likelihoods, 0))
        return [unweighted(stop_gradient(total) / self.items, total)]


@layer("CTCLoss")
class CTCLoss(SequenceLoss):
    """Σ −ln p(labels | x) / N; infinite if an item has more labels than fit (ChWick/caffe, TextBoxes++).

    The gradient is that of the sum, not of the mean, and does not depend on loss_weight; for an item whose loss is
    infinite, it is the probabilities. Bottoms: x (T, N, C), indicators (T, N) and labels (T, N), see `marked_lengths`.
    blank_index below 0 means the last class. output_delay: this many first steps do not count.
    preprocess_collapse_repeated: repeated labels are merged into one.
    """

    bottoms = (3, 3)

    def setup(self, x: Shape, indicators: Shape, labels: Shape) -> list[Shape]:
        p = self.config.ctc_loss_param
        self.steps, self.items, self.classes = self.check_scores(x)
        self.check_steps(1, indicators)
        self.check_steps(2, labels)
        blank = p.blank_index if p.HasField("blank_index") else -1
        if blank >= self.classes:
            raise self.error(f"blank_index is {blank}; it must be below {self.classes}, or -1 for the last class.")
        if not 0 <= p.output_delay < self.steps:
            raise self.error(f"output_delay is {p.output_delay}; it must be 0 to {self.steps - 1}.")
        self.blank_class = self.classes - 1 if blank < 0 else blank
        self.delay, self.merge, self.collapse = p.output_delay, p.ctc_merge_repeated, p.preprocess_collapse_repeated
        return [()]

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {2: LabelBounds(self.classes, -1, self.node.shown)}

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        indicators, labels = (b.reshape(self.steps, self.items) for b in bottoms[1:])
        lengths, counts = marked_lengths(indicators, labels)
        rows = (labels.T + 0.5).astype(jnp.int32)
        counted = jnp.arange(self.steps) < counts[:, None]
        kept = counted & (jnp.cumsum(counted & (rows == self.blank_class), axis=1) == 0)
        if self.collapse:
            kept &= (rows != jnp.roll(rows, 1, axis=1)) | (jnp.arange(self.steps) == 0)
        rows, counts = ctc.packed(rows, kept)
        x = bottoms[0].reshape(self.steps, self.items, self.classes)[self.delay :]
        lengths = jnp.maximum(lengths - self.delay, 0)
        log_likelihoods = ctc.log_likelihood(self.scored(x), rows, counts, lengths, self.blank_class, self.merge)
        possible, runs = log_likelihoods > ctc.NEVER / 2, lengths > 0
        steps = jnp.arange(len(x))[:, None] < lengths
        evened = jnp.sum(jnp.where(steps, jax.nn.logsumexp(x, axis=2), 0), axis=0)
        losses = jnp.where(runs, jnp.where(possible, -log_likelihoods, jnp.inf), 0)
        pulls = jnp.where(runs, jnp.where(possible, -log_likelihoods, evened), 0)
        return [unweighted(stop_gradient(jnp.sum(losses)) / self.items, jnp.sum(pulls))]
