"""Recurrent layers: RNN, LSTM, and LSTMUnit, one step of an LSTM."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count, rows
from engine.layers.registry import layer

States = tuple[Array, ...]


class Recurrent(Layer):
    """A sequence x (T, N, …) of T steps in N streams → h (T, N, D), D = num_output.

    Bottoms: x; cont (T, N), 0 where a sequence begins and 1 where it goes on; optionally x_static (N, …), the same at
    every step. With `expose_hidden` also the states before the first step, each (1, N, D), and as further tops those
    after the last; Caffe sends no gradient through them. Without it each pass goes on from where the one before ended.
    The steps are a `lax.scan`: unrolled, 20 of them took ten times as long to compile and ran no faster.
    """

    states: ClassVar[int]
    """How many arrays (N, D) go from step to step."""
    gates: ClassVar[int]
    """How many rows of the input's weights there are for each output."""

    def setup(self, x: Shape, cont: Shape, *rest: Shape) -> list[Shape]:
        p = self.config.recurrent_param
        fits.outputs(self.node, "recurrent_param", p.num_output)
        if len(x) < 2 or cont != x[:2]:
            raise self.error(
                f"{self.bottom(0)} of shape {list(x)} must be (steps, streams, …) and {self.bottom(1)} of shape "
                f"{list(cont)} one marker for each step and stream."
            )
        steps, streams, d = x[0], x[1], p.num_output
        exposed = self.states if p.expose_hidden else 0
        self.check_hidden(len(rest), exposed)
        self.static = len(rest) - exposed == 1
        if self.static and rest[0][:1] != (streams,):
            raise self.error(
                f"{self.bottom(2)} of shape {list(rest[0])} must have {streams} rows, one for each stream."
            )
        for j, shape in enumerate(rest[self.static :], 2 + self.static):
            if shape != (1, streams, d):
                raise self.error(f"{self.bottom(j)} of shape {list(shape)} must be of shape {[1, streams, d]}.")
        gates = self.gates * d
        self.weight = self.param("input weight", (gates, count(x[2:])), p.weight_filler)
        self.bias = self.param("bias", (gates,), p.bias_filler)
        if self.static:
            self.static_weight = self.param("static weight", (gates, count(rest[0][1:])), p.weight_filler)
        self.declare_steps(d)
        for n in range(0 if exposed else self.states):
            self.remember(f"state {n}", (streams, d))
        return [(steps, streams, d), *[(1, streams, d)] * exposed]

    def check_hidden(self, rest: int, exposed: int) -> None:
        tops = len(self.config.top)
        if rest not in (exposed, exposed + 1) or tops != 1 + exposed:
            hidden = f", and with expose_hidden {exposed} states" if exposed else ""
            raise self.error(
                f"it has {2 + rest} bottoms and {tops} tops; it takes x, cont and at most one static input{hidden}, "
                f"and makes {1 + exposed}."
            )

    def declare_steps(self, d: int) -> None:
        """Declares the parameters of `step`."""
        raise TypeError(f"{type(self).__name__} has no steps")

    def step(self, params: Arrays, states: States, x: Array, cont: Array) -> tuple[States, Array]:
        """One step: x (N, gates · D) holds what the inputs give, cont is (N, 1). Returns new states, and h."""
        raise TypeError(f"{type(self).__name__} has no steps")

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        x, cont, *rest = bottoms
        steps, streams = cont.shape
        driven = x.reshape(steps * streams, count(x.shape[2:])) @ params[self.weight].T + params[self.bias]
        driven = driven.reshape(steps, streams, driven.shape[-1])
        if self.static:
            driven = driven + rows(rest.pop(0)) @ params[self.static_weight].T
        own = len(self.params)
        before = rest or params[own:]
        states = tuple(jax.lax.stop_gradient(s).reshape(streams, s.shape[-1]) for s in before)
        flow = jax.lax.stop_gradient(cont)[..., None]
        states, h = jax.lax.scan(lambda s, now: self.step(params, s, *now), states, (driven, flow))
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

    states, gates = 1, 1

    def declare_steps(self, d: int) -> None:
        p = self.config.recurrent_param
        self.hidden = self.param("hidden weight", (d, d), p.weight_filler)
        self.out = self.param("output weight", (d, d), p.weight_filler)
        self.out_bias = self.param("output bias", (d,), p.bias_filler)

    def step(self, params: Arrays, states: States, x: Array, cont: Array) -> tuple[States, Array]:
        (h,) = states
        h = jnp.tanh((cont * h) @ params[self.hidden].T + x)
        return (h,), jnp.tanh(h @ params[self.out].T + params[self.out_bias])


@layer("LSTM")
class LSTM(Recurrent):
    """The LSTM of Zaremba and Sutskever 2014 (no peepholes); its gates are those of LSTMUnit, in that order.

    Params: W_xc, b_c, [W for x_static], W_hc, with 4 D rows. States: h, then c.
    """

    states, gates = 2, 4

    def declare_steps(self, d: int) -> None:
        self.hidden = self.param("hidden weight", (4 * d, d), self.config.recurrent_param.weight_filler)

    def step(self, params: Arrays, states: States, x: Array, cont: Array) -> tuple[States, Array]:
        h, c = states
        c, h = lstm_unit(c, x + (cont * h) @ params[self.hidden].T, cont)
        return (h, c), h


@layer("LSTMUnit")
class LSTMUnit(Layer):
    """One step of an LSTM: c_t = cont · f ⊙ c_{t−1} + i ⊙ g, h_t = o ⊙ tanh(c_t).

    Bottoms: c_{t−1} (1, N, D); the gates i, f, o, g before their non-linearities (1, N, 4 D); cont (1, N). Tops: c_t
    and h_t, both (1, N, D).
    """

    def setup(self, c: Shape, gates: Shape, cont: Shape) -> list[Shape]:
        if len(c) != 3 or c[0] != 1 or gates != (1, c[1], 4 * c[2]) or cont != (1, c[1]):
            raise self.error(
                f"bottoms of shapes {list(c)}, {list(gates)} and {list(cont)} must be of shapes (1, N, D), (1, N, 4 D) "
                "and (1, N)."
            )
        return [c, c]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        c, gates, cont = bottoms
        return list(lstm_unit(c, gates, jax.lax.stop_gradient(cont)[..., None]))

    def propagates_to(self, bottom: int) -> bool:
        return bottom != 2


def lstm_unit(c: Array, gates: Array, cont: Array) -> tuple[Array, Array]:
    """c_t and h_t (…, D) from c_{t−1} (…, D), gates (…, 4 D) and cont (…, 1)."""
    i, f, o, g = jnp.split(gates, 4, axis=-1)
    c = cont * jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return c, jax.nn.sigmoid(o) * jnp.tanh(c)
