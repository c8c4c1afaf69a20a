"""From the raw gradients to the new parameters, in Caffe's order: clip, normalise, decay, update."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from engine.net.parameters import Param
from engine.proto import caffe_pb2 as pb
from engine.solver import in_place
from engine.solver.updates import Scalar, Slots, Update

Array = jax.Array


class Applied(NamedTuple):
    """The result of an update. steps: what was subtracted from each parameter. norm: the gradients' L2 norm before
    clipping, 0 without clipping."""

    params: list[Array]
    history: list[Slots]
    steps: list[Array] | None
    norm: Array


class Rates(NamedTuple):
    """The settings that may change between iterations without another compilation; float32 scalars."""

    rate: Scalar
    momentum: Scalar


@dataclass(frozen=True)
class Settings:
    """How gradients are treated before the update rule is applied.

    clip: the limit on the L2 norm of all gradients together, None for no limit. iter_size: the number of passes summed
    in a gradient. decay: weight_decay, which each parameter's decay_mult multiplies. l1: whether it is L1; else L2.
    """

    clip: float | None
    iter_size: int
    decay: float
    l1: bool

    @classmethod
    def from_solver(cls, p: pb.SolverParameter) -> "Settings":
        """From a solver's settings, which `settings.check` has passed."""
        clip = p.clip_gradients if p.clip_gradients >= 0 else None
        return cls(clip, p.iter_size, p.weight_decay, p.regularization_type == "L1")


def apply(
    update: Update[Any],
    settings: Settings,
    decls: Sequence[Param],
    params: Sequence[Array],
    grads: Sequence[Array],
    history: Sequence[Slots],
    rates: Rates,
    zeros: Sequence[Array],
) -> Applied:
    """The iteration's update. Caffe clips the sum over iter_size passes, not their mean, and decays after clipping.

    zeros: see `in_place.zeros`.
    """
    grads, norm = (grads, jnp.float32(0)) if settings.clip is None else clip_by_norm(grads, settings.clip)
    new_params, new_history, steps = [], [], []
    for decl, w, raw, slots, zero in zip(decls, params, grads, history, zeros, strict=True):
        if not decl.decl.learned:  # state: its step and history would be zeros, but take two loops to compile
            new_params.append(w)
            new_history.append(slots)
            steps.append(jnp.zeros_like(w))
            continue
        g = raw * np.float32(1 / settings.iter_size) if settings.iter_size > 1 else raw
        decay = np.float32(settings.decay) * np.float32(decl.decay_mult)
        if decay:
            g = g + decay * (jnp.sign(w) if settings.l1 else w)
        step, new_slots = update.step(g, slots, rates.rate * np.float32(decl.lr_mult), rates.momentum)
        if not decl.learned:  # frozen: nothing is subtracted, though with delta: 0 a gradient of 0 gives 0 / 0
            step = jnp.where(jnp.isnan(step), np.float32(0), step)
        new_params.append(in_place.subtracted(w, step, zero))
        new_history.append(new_slots)
        steps.append(step)
    return Applied(new_params, new_history, steps, norm)


def clip_by_norm(grads: Sequence[Array], limit: float) -> tuple[list[Array], Array]:
    """The gradients, scaled down together so that their L2 norm is at most `limit`, and their original norm."""
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads))
    scale = jnp.where(norm > limit, limit / norm, jnp.float32(1))
    return [g * scale for g in grads], norm
