"""Learning-rate policies: base_lr · f(iteration), by Caffe's formulas, in float32 as Caffe computes them.

"cosine" and "plateau" are ours. On a plateau (stepsize iterations without a better test) the solver counts a drop.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.proto import caffe_pb2 as pb

Policy = Callable[[pb.SolverParameter, int, int], np.float32]


class Planned(NamedTuple):
    """The plan of an iteration: its learning rate and the solver's current_step after it. dropped: current_step again
    if "multistep" lowers the rate in this iteration, else None."""

    rate: np.float32
    current_step: int
    dropped: int | None


def learning_rate(param: pb.SolverParameter, iteration: int, step: int) -> tuple[np.float32, int]:
    """The rate at `iteration`, and the solver's current_step after it. `param` has passed `lr_policy.check`.

    step: the number of drops so far, kept in the solver state. "multistep" makes at most one drop per iteration. So a
    run that is resumed with other stepvalues continues from the drops it has had, and values that do not increase are
    taken one by one in their order.
    """
    if param.lr_policy == "step":
        step = iteration // param.stepsize
    elif param.lr_policy == "multistep" and step < len(param.stepvalue) and iteration >= param.stepvalue[step]:
        step += 1
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(param.base_lr) * POLICIES[param.lr_policy](param, iteration, step), step


def fixed(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """1"""
    return np.float32(1)


def drops(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """γ^step. "step": step = ⌊t / stepsize⌋; "multistep": the number of stepvalues reached; "plateau": of plateaus."""
    return np.float32(p.gamma) ** np.float32(step)


def exp(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """γ^t"""
    return np.float32(p.gamma) ** np.float32(iteration)


def inv(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """(1 + γ t)^−power"""
    return (np.float32(1) + np.float32(p.gamma) * np.float32(iteration)) ** np.float32(-p.power)


def poly(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """(1 − t / max_iter)^power; 0 from max_iter on, where Caffe's formula is undefined."""
    remaining = np.float32(1) - np.float32(iteration) / np.float32(p.max_iter)
    return max(remaining, np.float32(0)) ** np.float32(p.power)


def cosine(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """(1 + cos(π t / max_iter)) / 2   (Loshchilov and Hutter 2017, without restarts); not in Caffe"""
    part = np.float32(min(iteration / p.max_iter, 1))
    cos: np.float32 = np.cos(np.float32(np.pi) * part)
    return (np.float32(1) + cos) / np.float32(2)


def sigmoid(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """1 / (1 + exp(−γ (t − stepsize)))"""
    e: np.float32 = np.exp(np.float32(-p.gamma) * np.float32(iteration - p.stepsize))
    return np.float32(1) / (np.float32(1) + e)


POLICIES: dict[str, Policy] = {
    "fixed": fixed,
    "step": drops,
    "exp": exp,
    "inv": inv,
    "multistep": drops,
    "poly": poly,
    "sigmoid": sigmoid,
    "cosine": cosine,
    "plateau": drops,
}
