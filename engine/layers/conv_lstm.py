"""ConvLSTM: an LSTM whose states are maps, and whose weights are convolutions (Shi et al. 2015)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import fits, windows
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.convolution import convolve
from engine.ops.window import Window
from engine.proto import caffe_pb2 as pb

BOTTOMS = "x (steps, streams, C, H, W), a marker for each step and stream"
GATES = 4


class Kernel(NamedTuple):
    """A convolution that keeps the size of maps: its window, its groups, and the index of its weights."""

    window: Window
    groups: int
    weight: int


@layer("ConvLSTM")
class ConvLSTM(Layer):
    """Maps x (T, N, C, H, W) of T steps in N streams to h (T, N, D, H, W), D = num_output (agethen's ConvLSTM).

    The gates i, f, o, g = W ∗ x_t + V ∗ (cont_t · h_{t−1}) + b + (p_i c_{t−1}, p_f c_{t−1}, p_o c_{t−1}, 0) are those
    of LSTMUnit: c_t = cont_t · σ(f) c_{t−1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t). The weights p begin as 1, look at
    c_{t−1} also where a sequence begins, and are left out with lstm_debug_param's disable_hadamard; x is left out with
    ignore_x. One lstm_conv_param describes both convolutions, or one of type "input" that of x and the other, of type
    "hidden", that of h.
    Bottoms: x; cont (T, N), 0 where a sequence begins and 1 where it continues. With recurrent_param's expose_hidden,
    also h and c before the first step, (1, N, D, H, W) each, and as tops h and c after the last; gradients pass through
    them. Without it, each pass continues from the states in which the one before ended.
    Params: W (4 D, C / group, *kernel), V (4 D, D / group, *kernel), b (4 D), and p_i, p_f, p_o of the shape of the
    `num_axes_hadamard` axes of c from `axis_hadamard` on.
    """

    bottoms = (2, 4)
    tops = (1, 3)
    no_gradient = (1,)

    def setup(self, x: Shape, cont: Shape, *states: Shape) -> list[Shape]:
        debug, exposed = self.config.lstm_debug_param, self.config.recurrent_param.expose_hidden
        if len(x) != 5 or cont != x[:2] or not x[0]:
            raise self.error(f"{self.bottom(0)} has shape {list(x)} and {self.bottom(1)} {list(cont)}; give {BOTTOMS}.")
        if debug.expose:
            raise self.error(
                "lstm_debug_param exposes blobs; only those of recurrent_param's expose_hidden are supported."
            )
        of_x, of_h = self._settings()
        self.outputs = fits.outputs(self.node, "lstm_conv_param", of_x.num_output)
        if of_h.num_output != self.outputs:
            raise self.error(f"num_output is {of_x.num_output} for x and {of_h.num_output} for h; give both the same.")
        state = (1, x[1], self.outputs, *x[3:])
        self._check_states(states, state, exposed)
        self.input_kernel = None if debug.ignore_x else self._kernel(of_x, "input weight", x[2], x[3:])
        self.hidden_kernel = self._kernel(of_h, "hidden weight", self.outputs, x[3:])
        self.bias = self.param("bias", (GATES * self.outputs,), of_h.bias_filler) if of_h.bias_term else None
        self.peepholes = [] if debug.disable_hadamard else self._peepholes(state)
        if not exposed:
            for name in ("h", "c"):
                self.remember(name, state[1:])
        tops: list[Shape] = [(x[0], *state[1:]), state, state]
        return tops[: 3 if exposed else 1]

    def propagates_to(self, bottom: int) -> bool:
        return bottom != 1

    def _settings(self) -> tuple[pb.LSTMConvolutionParameter, pb.LSTMConvolutionParameter]:
        """What describes the convolutions of x and of h."""
        blocks = self.config.lstm_conv_param
        if len(blocks) not in (1, 2):
            raise self.error(f"it has {len(blocks)} lstm_conv_param; give one, or one for x and one for h.")
        first, last = blocks[0], blocks[-1]
        for_x, for_h = (last if first.type == other else first for other in ("hidden", "input"))
        if for_x.type == "hidden" or for_h.type == "input":
            raise self.error(f'its only lstm_conv_param is of type "{first.type}"; give the other too, or no type.')
        return for_x, for_h

    def _check_states(self, states: tuple[Shape, ...], state: Shape, exposed: bool) -> None:
        tops = len(self.config.top)
        if len(states) != (2 if exposed else 0) or tops != (3 if exposed else 1):
            raise self.error(
                f"it has {2 + len(states)} bottoms and {tops} tops; it takes x and markers and gives h, and with "
                "expose_hidden also takes h and c before the first step and gives them after the last."
            )
        for i, shape in enumerate(states, 2):
            if shape != state:
                raise self.error(f"{self.bottom(i)} of shape {list(shape)} must be of shape {list(state)}.")

    def _kernel(self, p: pb.LSTMConvolutionParameter, name: str, channels: int, sizes: Shape) -> Kernel:
        """Declares the weights of a convolution. Raises LayerError unless it keeps the maps' size."""
        if not p.kernel_size:
            raise self.error("lstm_conv_param needs kernel_size; kernel_h, pad_h and the like are not read.")
        param = pb.ConvolutionParameter(kernel_size=p.kernel_size, stride=p.stride, pad=p.pad, dilation=p.dilation)
        window = windows.of_convolution(self.node, param, len(sizes))
        outputs = windows.fitting_outputs(self.node, window, sizes)
        if outputs != sizes:
            raise self.error(
                f"its {name} makes maps of {windows.by(outputs)} of {windows.by(sizes)}; they must keep it."
            )
        groups = fits.groups(self.node, channels, GATES * self.outputs, p.group)
        shape = (GATES * self.outputs, channels // groups, *window.kernel)
        return Kernel(window, groups, self.param(name, shape, p.weight_filler))

    def _peepholes(self, state: Shape) -> list[int]:
        debug = self.config.lstm_debug_param
        self.axis, end = debug.axis_hadamard, debug.axis_hadamard + debug.num_axes_hadamard
        if end > len(state):
            raise self.error(f"axis_hadamard {self.axis} and num_axes_hadamard {end - self.axis} exceed 5 axes.")
        shape, filler = state[self.axis : end], pb.FillerParameter()
        return [self.param(f"weight of c for {gate}", shape, filler, default=1.0) for gate in ("i", "f", "o")]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        x, cont, *exposed = bottoms
        own = len(self.params)
        h, c = (s[0] for s in exposed) if exposed else map(stop_gradient, params[own:])
        gates = jnp.zeros((x.shape[0], 1, 1, 1, 1), x.dtype)
        if self.input_kernel is not None:
            maps = x.reshape(-1, *x.shape[2:])
            driven = convolve(
                maps, params[self.input_kernel.weight], None, self.input_kernel.window, self.input_kernel.groups
            )
            gates = driven.reshape(*x.shape[:2], *driven.shape[1:])
        bias = None if self.bias is None else params[self.bias]
        looks = [self._along_state(params[i], c.ndim) for i in self.peepholes]

        def step(states: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
            (h, c), (driven, flow) = states, now
            recurrent = convolve(
                flow * h, params[self.hidden_kernel.weight], bias, self.hidden_kernel.window, self.hidden_kernel.groups
            )
            i, f, o, g = jnp.split(recurrent + driven, GATES, 1)
            if looks:
                i, f, o = (gate + look * c for gate, look in zip((i, f, o), looks, strict=True))
            c = flow * jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        flow = stop_gradient(cont)[..., None, None, None]
        (h, c), y = jax.lax.scan(step, (h, c), (gates, flow))
        if exposed:
            return [y, h[None], c[None]], {}
        return [y], {own: stop_gradient(h), own + 1: stop_gradient(c)}

    def _along_state(self, weight: Array, axes: int) -> Array:
        """A weight of the axes of c (1, N, D, H, W) from `axis_hadamard` on, for c without its first axis."""
        full = weight.reshape((1,) * self.axis + weight.shape + (1,) * (axes + 1 - self.axis - weight.ndim))
        return full[0]
