"""Lstm of caffe-lstm: sequences lie along the batch axis, and clip markers say where each begins or continues."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.recurrent import lstm_unit
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _bounded(x: Array, limit: float) -> Array:
    """x with its gradient clipped to ± limit."""
    return x


_bounded.defvjp(lambda x, limit: (x, None), lambda limit, _, g: (jnp.clip(g, -limit, limit),))


@layer("Lstm")
class Lstm(Layer):
    """An LSTM over T steps of N = batch_size sequences, with the gates of LSTMUnit: x (T · N, …) → h (T · N, D).

    Bottoms: x; optionally clip (T · N), 0 where a sequence begins. With clip, each pass continues from the state in
    which the one before ended; without it, all sequences begin anew. The gradients of the gates are clipped to
    ± clipping_threshold, if that is set. The gradient of the hidden weights includes the state before the beginning of
    a sequence, as in the fork.
    In CTPN and caffe_ocr, whose layers have no batch_size: x (T, N, K) → h (T, N, D), without clip.
    Params: W of the input (4 D, K), W of h (4 D, D), b (4 D), D = num_output.
    """

    bottoms = (1, 2)

    def setup(self, x: Shape, clip: Shape | None = None) -> list[Shape]:
        p = self.config.lstm_param
        for field in ("num_output", "batch_size"):
            if not getattr(p, field):
                raise self.error(f"lstm_param needs {field} of 1 or more.")
        stepped = len(x) == 3 and clip is None and not p.HasField("batch_size")
        self.sequences, inputs = (x[1], x[2]) if stepped else (p.batch_size, count(x[1:]))
        if not x or (not stepped and x[0] % p.batch_size):
            raise self.error(
                f"{self.bottom(0)} of shape {list(x)} does not hold whole steps of {p.batch_size} sequences."
            )
        if clip is not None and (clip[:1] != x[:1] or count(clip) != x[0]):
            raise self.error(f"{self.bottom(1)} of shape {list(clip)} must hold one marker for each of {x[0]} items.")
        self.outputs, self.limit = p.num_output, p.clipping_threshold
        self.weight = self.param("input weight", (4 * p.num_output, inputs), p.weight_filler)
        self.hidden = self.param("hidden weight", (4 * p.num_output, p.num_output), p.weight_filler)
        self.bias = self.param("bias", (4 * p.num_output,), p.bias_filler)
        if clip is not None:
            for name in ("h", "c"):
                self.remember(name, (p.batch_size, p.num_output))
        return [(*x[: 2 if stepped else 1], p.num_output)]

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        x, *clip = bottoms
        own = len(self.params)
        x = x.reshape(count(self.top_shapes[0][:-1]), params[self.weight].shape[1])
        driven = x @ params[self.weight].T + params[self.bias]
        driven = driven.reshape(len(x) // max(1, self.sequences), self.sequences, driven.shape[1])
        goes_on = clip[0] != 0 if clip else jnp.arange(x.shape[0]) >= self.sequences
        zeros = jnp.zeros((self.sequences, self.outputs), driven.dtype)
        before = tuple(map(stop_gradient, params[own:])) if clip else (zeros, zeros)
        steps = driven, goes_on.reshape(len(driven), self.sequences, 1).astype(driven.dtype)
        after, h = jax.lax.scan(partial(self._step, params[self.hidden]), before, steps)
        updates = {own + n: stop_gradient(s) for n, s in enumerate(after)} if clip else {}
        return [h.reshape(self.top_shapes[0])], updates

    def _step(
        self, weight: Array, states: tuple[Array, Array], now: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], Array]:
        (h, c), (x, cont) = states, now
        of_h = with_gradient_of(
            cont * (h @ weight.T), cont * (h @ stop_gradient(weight).T) + stop_gradient(h) @ weight.T
        )
        gates = _bounded(x + of_h, self.limit) if self.limit > 0 else x + of_h
        c, h = lstm_unit(c, gates, cont)
        return (h, c), h
