"""Finds where the first number that is not finite came from."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from engine import log
from engine.graph.graph import Value
from engine.net.net import Net

Array = jax.Array


def finite(net: Net, values: Mapping[Value, Array], grads: Sequence[Array]) -> Array:
    """Bools: whether all numbers are finite in the tops of each layer, followed by the gradient of each parameter."""
    tops = [jnp.stack([jnp.isfinite(values[v]).all() for v in tops] or [jnp.bool_(True)]).all() for tops in net.tops]
    return jnp.stack([*tops, *(jnp.isfinite(g).all() for g in grads)])


def where(net: Net, flags: Array) -> str:
    """A sentence naming the layer with the first such number in the forward pass, or else in the backward pass (which
    is the last layer with one)."""
    bad = np.flatnonzero(~np.asarray(flags))
    if bad[0] < len(net.layers):
        layer = net.layers[int(bad[0])]
        return f'layer "{layer.name}" ({layer.type}) was the first to make a number that is not finite.'
    param = net.params[int(bad[-1]) - len(net.layers)]
    return f'the gradient of layer "{param.layer}" was the first with a number that is not finite.'


def found(net: Net, flags: Array | None, loss: Array) -> str:
    """What is wrong with an iteration. flags: the result of `finite`, or None if only the loss was checked."""
    place = "" if flags is None else f"{where(net, flags)} "
    return f"{place}Its loss is {log.number(loss)}."


def diverged(net: Net, iteration: int, flags: Array | None, loss: Array) -> str:
    """The message of a training that stops for that reason, with advice."""
    advice = "Lower base_lr or set clip_gradients, and resume from the last snapshot."
    hint = " -nan stop names the layer where it begins; -nan ignore trains on, as Caffe does." if flags is None else ""
    return f"The training diverged at iteration {iteration}: {found(net, flags, loss)} {advice}{hint}"
