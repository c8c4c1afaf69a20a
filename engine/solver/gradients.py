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
    """steps: what was taken off each parameter. norm: the gradients' L2 norm before clipping, 0 without clipping."""

    params: list[Array]
    history: list[Slots]
    steps: list[Array] | None
    norm: Array


class Rates(NamedTuple):
    """What may change from one iteration to the next without compiling again; float32 scalars."""

    rate: Scalar
    momentum: Scalar


@dataclass(frozen=True)
class Settings:
    """How gradients are treated before the update rule sees them.

    clip: the largest L2 norm of all gradients together, None for any. iter_size: passes summed in a gradient.
    decay: weight_decay, multiplied by each parameter's decay_mult. l1: its kind, L1 or else L2.
    """

    clip: float | None
    iter_size: int
    decay: float
    l1: bool

    @classmethod
    def from_solver(cls, p: pb.SolverParameter) -> "Settings":
        """Of settings that `settings.check` has passed."""
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
        if not decl.decl.learned:  # state: its step and its history would be zeros, of two loops to compile
            new_params.append(w)
            new_history.append(slots)
            steps.append(jnp.zeros_like(w))
            continue
        g = raw * np.float32(1 / settings.iter_size) if settings.iter_size > 1 else raw
        decay = np.float32(settings.decay) * np.float32(decl.decay_mult)
        if decay:
            g = g + decay * (jnp.sign(w) if settings.l1 else w)
        step, remembered = update.step(g, slots, rates.rate * np.float32(decl.lr_mult), rates.momentum)
        if not decl.learned:  # frozen: nothing is taken off, though with delta: 0 a gradient of 0 has 0 / 0
            step = jnp.where(jnp.isnan(step), np.float32(0), step)
        new_params.append(in_place.subtracted(w, step, zero))
        new_history.append(remembered)
        steps.append(step)
    return Applied(new_params, new_history, steps, norm)


def clip_by_norm(grads: Sequence[Array], limit: float) -> tuple[list[Array], Array]:
    """The gradients scaled down together so that their L2 norm is at most `limit`, and the norm they had."""
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads))
    scale = jnp.where(norm > limit, limit / norm, jnp.float32(1))
    return [g * scale for g in grads], norm
