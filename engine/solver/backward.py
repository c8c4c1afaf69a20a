"""A forward pass of a net and the gradient of its loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from engine.graph.graph import Value
from engine.net.net import PRODUCT, Forward, Net
from engine.net.tape import Tape
from engine.solver.report import magnitudes, nan

Array = jax.Array
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Keep:
    """What to keep of an iteration besides what training needs; see `Passed` and `step.StepResult`.

    recompute: for the gradient, keep only the blobs that are products with weights, and compute those in between again.
    This works on a GPU; on a CPU, XLA optimizes it away.
    """

    steps: bool = False
    values: bool = False
    finite: bool = False
    debug: bool = False
    recompute: bool = False


NOTHING = Keep()


class Passed(NamedTuple):
    """The result of a pass: parameters with updated state, gradients (zeros for what is not learned), and the rest."""

    params: list[Array]
    grads: list[Array]
    loss: Array
    outputs: dict[str, Array]
    sinks: dict[str, list[Array]]
    finite: Array | None
    values: dict[Value, Array] | None
    debug: magnitudes.PassMagnitudes | None
    labels: Array


def backward(net: Net, params: Sequence[Array], inputs: Inputs, key: Array, keep: Keep = NOTHING) -> Passed:
    """A forward pass of `net` and the gradient of its loss with respect to each parameter. Pure."""
    keep_all = keep.values or keep.finite or keep.debug

    def loss(values: Mapping[int, Array], probes: Mapping[magnitudes.Bottom, Array]) -> tuple[Array, Forward]:
        every = [values.get(k, p) for k, p in enumerate(params)]
        out = net.forward(every, inputs, key, keep=keep_all, probes=probes)
        return out.loss, out

    probes = _probes(net, params, inputs, key) if keep.debug else {}
    if net.dynamic:
        tape = Tape()
        out = net.forward(params, inputs, key, keep=keep_all, probes=probes, tape=tape)
        by_number, _, below = tape.gradients()
        below = {**probes, **below}
    else:
        learned = {k: params[k] for k, p in enumerate(net.params) if p.learned}
        saved = jax.checkpoint_policies.save_only_these_names(PRODUCT)
        differentiated = jax.checkpoint(loss, policy=saved) if keep.recompute else loss
        (by_number, below), out = jax.grad(differentiated, (0, 1), has_aux=True)(learned, probes)
    grads = [by_number[k] if k in by_number else jnp.zeros(p.shape, jnp.float32) for k, p in enumerate(params)]
    renewed = [out.updates.get(k, p) for k, p in enumerate(params)]
    measured = None
    if keep.debug:
        blobs = magnitudes.blobs(net, out.values, below)
        measured = magnitudes.PassMagnitudes(blobs, magnitudes.parameters(net, renewed, grads))
    return Passed(
        params=renewed,
        grads=grads,
        loss=out.loss,
        outputs=out.outputs,
        sinks=out.sinks,
        finite=nan.finite(net, out.values, grads) if keep.finite else None,
        values=out.values if keep.values else None,
        debug=measured,
        labels=out.labels,
    )


def _probes(net: Net, params: Sequence[Array], inputs: Inputs, key: Array) -> dict[magnitudes.Bottom, Array]:
    """See `magnitudes.probes`. A dynamic net has to run for its shapes to be known."""
    shaped = (lambda f, *args: f(*args)) if net.dynamic else jax.eval_shape
    return magnitudes.probes(net, shaped(lambda p, x: net.forward(p, x, key, keep=True).values, params, inputs))
