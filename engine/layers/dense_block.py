"""DenseBlock: a block of DenseNet's convolutions in one layer, each reading all maps before it (Huang et al. 2017)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from engine.graph import dense_blocks
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer
from engine.ops.batch_norm import normalize_batch
from engine.ops.convolution import convolve
from engine.ops.window import Window
from engine.proto import caffe_pb2 as pb

EPS = 1e-5
"""Added to variances: the smallest value that cuDNN allows."""


@layer("DenseBlock")
class DenseBlock(Layer):
    """Appends growthRate channels to x numTransition times, each time W ∗ relu(norm(all channels so far)) (senlinuc's).

    W is 3 × 3 and flipped along both axes: a true convolution, as in cuDNN, not a cross-correlation. With `use_BC`, a
    1 × 1 convolution to 4 · growthRate channels, norm and relu come before it. norm is as in BN, with the batch's own μ
    and σ² in TRAIN and running statistics in TEST. The running statistics keep 1 − moving_average_fraction of their
    previous values and take that fraction of the batch's μ and σ² · m/(m − 1), with m values per channel. In TRAIN with
    `use_dropout`, each value of the new channels is 0 with probability dropout_amount, else multiplied by
    1 / (1 − dropout_amount).

    Bottom: x (N, C, H, W). Top: (N, C + numTransition · growthRate, H, W).
    Params, for each convolution i of Cᵢ channels, grouped by kind: W (growthRate, Cᵢ or 4 · growthRate, 3, 3); scaler,
    bias, running μ and σ² (1, Cᵢ, 1, 1); with `use_BC`, the same for the 1 × 1 convolutions; and last the divisor of
    the running statistics, which the fork's CPU code accumulates as sums; it is 0 in models from a GPU.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.denseblock_param
        shape = dense_blocks.top(self.node, x)
        self.check_size("its top", shape)
        self.transitions, self.bottleneck = p.numTransition, p.use_BC
        self.fraction, self.training = p.moving_average_fraction, self.phase == pb.TRAIN
        self.ratio = p.dropout_amount if p.use_dropout and self.training else 0.0
        self.places: dict[str, int] = {}
        for name, of in dense_blocks.params(self.node, x):
            kind = name.removeprefix("bottleneck ")
            fillers = {"filter": p.Filter_Filler, "scaler": p.BN_Scaler_Filler, "bias": p.BN_Bias_Filler}
            filler = fillers.get(kind, pb.FillerParameter(value=float(kind == "variance")))
            self.places.setdefault(name, self.param(name, of, filler, learned=kind in fillers))
        return [shape]

    def multiply_adds(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        places = bottoms[0][0] * count(bottoms[0][2:])
        return places * sum(count(decl.shape) for decl in self.params if decl.name.endswith("filter"))

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        (x,) = bottoms
        updates: dict[int, Array] = {}
        keys = jax.random.split(ctx.key, self.transitions) if self.ratio else [None] * self.transitions
        for i, key in enumerate(keys):
            y = self._normalized(x, params, i, "", updates)
            if self.bottleneck:
                y = convolve(y, params[self.places["bottleneck filter"] + i], None, _window(1), 1)
                y = self._normalized(y, params, i, "bottleneck ", updates)
            y = convolve(y, params[self.places["filter"] + i][:, :, ::-1, ::-1], None, _window(3), 1)
            if key is not None:
                mask = jax.random.bernoulli(key, 1 - self.ratio, y.shape)
                y = jnp.where(mask, y / (1 - self.ratio), 0)
            x = jnp.concatenate([x, y], 1)
        return [x], updates

    def _normalized(self, x: Array, params: Arrays, i: int, of: str, updates: dict[int, Array]) -> Array:
        """relu(norm(x)); adds the new running μ and σ² to `updates`."""
        scaler, bias = (params[self.places[of + name] + i] for name in ("scaler", "bias"))
        places = [self.places[of + name] + i for name in ("mean", "variance")]
        if not self.training:
            terms = params[self.places["number of terms"]][0]
            mean, variance = (params[place] / jnp.where(terms > 0, terms, 1) for place in places)
            return jax.nn.relu((x - mean) / jnp.sqrt(variance + EPS) * scaler + bias)
        normalized = normalize_batch(x, scaler.ravel(), bias.ravel(), EPS, True)
        m = x.size // max(1, x.shape[1])
        unbiased = normalized.variance * (m / (m - 1) if m > 1 else 1)
        for place, batch in zip(places, (normalized.mean, unbiased), strict=True):
            running = params[place]
            updates[place] = (1 - self.fraction) * running + self.fraction * batch.reshape(running.shape)
        return normalized.y


def _window(side: int) -> Window:
    """The window of a square convolution that preserves the size of a map."""
    return Window((side, side), (1, 1), (side // 2, side // 2), (1, 1))
