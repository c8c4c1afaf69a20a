"""Recurrent layers: RNN, LSTM, and LSTMUnit, one step of an LSTM."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from engine.graph import recurrences
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count, rows
from engine.layers.registry import layer

States = tuple[Array, ...]
Named = Mapping[str, Array]
"""A layer's parameters by name."""


class Recurrent(Layer):
    """Maps a sequence x (T, N, …) of T steps in N streams to h (T, N, D), D = num_output.

    Bottoms: x; cont (T, N), 0 where a sequence begins and 1 where it continues; optionally x_static (N, …), the same at
    every step. With `expose_hidden`, further bottoms are the states before the first step, each (1, N, D), and further
    tops the states after the last; as in Caffe, no gradient passes through them. Without it, each pass continues from
    the states in which the one before ended.
    The steps are a `lax.scan`: unrolled, 20 of them took ten times as long to compile and ran no faster.
    """

    no_gradient = (1,)

    def setup(self, x: Shape, cont: Shape, *rest: Shape) -> list[Shape]:
        unrolling = recurrences.unrolled(self.node, (x, cont, *rest))
        self.static = unrolling.static
        for name, shape in recurrences.params(self.node, (x, cont, *rest)):
            self.param(name, shape, recurrences.filler(self.node, name))
        for n in range(0 if unrolling.exposed else recurrences.KINDS[self.type].states):
            self.remember(f"state {n}", (x[1], unrolling.outputs))
        return unrolling.tops

    def step(self, params: Named, states: States, x: Array, cont: Array) -> tuple[States, Array]:
        """Computes one step. x (N, gates · D) is the contribution of the inputs; cont is (N, 1). Returns the new states
        and h."""
        raise TypeError(f"{type(self).__name__} has no steps")

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        x, cont, *rest = bottoms
        steps, streams = cont.shape
        own = len(self.params)
        by_name = {decl.name: value for decl, value in zip(self.params, params[:own], strict=True)}
        driven = x.reshape(steps * streams, count(x.shape[2:])) @ by_name["input weight"].T + by_name["bias"]
        driven = driven.reshape(steps, streams, driven.shape[-1])
        if self.static:
            driven = driven + rows(rest.pop(0)) @ by_name["static weight"].T
        before = rest or params[own:]
        states = tuple(jax.lax.stop_gradient(s).reshape(streams, s.shape[-1]) for s in before)
        flow = jax.lax.stop_gradient(cont)[..., None]
        states, h = jax.lax.scan(lambda s, now: self.step(by_name, s, *now), states, (driven, flow))
        ended = [jax.lax.stop_gradient(s) for s in states]
        if rest:
            return [h, *(s[None] for s in ended)], {}
        return [h], {own + n: s for n, s in enumerate(ended)}

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0 or (self.static and bottom == 2)


@layer("RNN")
class RNN(Recurrent):
    """h_t = tanh(W_hh (cont_t · h_{t−1}) + W_xh x_t + b_h), top_t = tanh(W_ho h_t + b_o).

    Params: W_xh, b_h, [W for x_static], W_hh, W_ho, b_o.
    """

    def step(self, params: Named, states: States, x: Array, cont: Array) -> tuple[States, Array]:
        (h,) = states
        h = jnp.tanh((cont * h) @ params["hidden weight"].T + x)
        return (h,), jnp.tanh(h @ params["output weight"].T + params["output bias"])


@layer("LSTM")
class LSTM(Recurrent):
    """The LSTM of Zaremba and Sutskever 2014 (no peepholes), with the gates of LSTMUnit in the same order.

    Params: W_xc, b_c, [W for x_static], W_hc, each with 4 D rows. States: h, then c.
    """

    def step(self, params: Named, states: States, x: Array, cont: Array) -> tuple[States, Array]:
        h, c = states
        c, h = lstm_unit(c, x + (cont * h) @ params["hidden weight"].T, cont)
        return (h, c), h


@layer("LSTMUnit")
class LSTMUnit(Layer):
    """One step of an LSTM: c_t = cont · f ⊙ c_{t−1} + i ⊙ g, h_t = o ⊙ tanh(c_t).

    Bottoms: c_{t−1} (1, N, D); the pre-activations of the gates i, f, o, g (1, N, 4 D); cont (1, N). Tops: c_t and h_t,
    both (1, N, D).
    """

    no_gradient = (2,)

    def setup(self, c: Shape, gates: Shape, cont: Shape) -> list[Shape]:
        return recurrences.unit(self.node, c, gates, cont)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        c, gates, cont = bottoms
        return list(lstm_unit(c, gates, jax.lax.stop_gradient(cont)[..., None]))


def lstm_unit(c: Array, gates: Array, cont: Array) -> tuple[Array, Array]:
    """c_t and h_t (…, D) from c_{t−1} (…, D), gates (…, 4 D) and cont (…, 1)."""
    i, f, o, g = jnp.split(gates, 4, axis=-1)
    c = cont * jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return c, jax.nn.sigmoid(o) * jnp.tanh(c)
