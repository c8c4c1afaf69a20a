"""Where a number that is no number came up first."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from engine.graph.graph import Value
from engine.net.net import Net

Array = jax.Array


def finite(net: Net, values: Mapping[Value, Array], grads: Sequence[Array]) -> Array:
    """Whether all numbers are finite in the tops of each layer, and then in the gradient of each parameter: bools."""
    tops = [jnp.stack([jnp.isfinite(values[v]).all() for v in tops] or [jnp.bool_(True)]).all() for tops in net.tops]
    return jnp.stack([*tops, *(jnp.isfinite(g).all() for g in grads)])


def where(net: Net, flags: Array) -> str:
    """The sentence that names the layer: the first one forward, or else the first one backward, which is the last."""
    bad = np.flatnonzero(~np.asarray(flags))
    if bad[0] < len(net.layers):
        layer = net.layers[int(bad[0])]
        return f'layer "{layer.name}" ({layer.type}) was the first to make a number that is not finite.'
    param = net.params[int(bad[-1]) - len(net.layers)]
    return f'the gradient of layer "{param.layer}" was the first with a number that is not finite.'
