"""Learning-rate policies: base_lr · f(iteration), by Caffe's formulas, in float32 as Caffe computes them.

"cosine" and "plateau" are ours. On a plateau (stepsize iterations without a better test) the solver counts a drop.
"""

from collections.abc import Callable

import numpy as np

from engine import suggest
from engine.errors import SolverError
from engine.proto import caffe_pb2 as pb

Policy = Callable[[pb.SolverParameter, int, int], np.float32]


def learning_rate(param: pb.SolverParameter, iteration: int, step: int) -> tuple[np.float32, int]:
    """The rate at `iteration`, and the solver's current_step after it. `param` has passed `check`.

    `step` counts the drops so far; it is kept in the solver state, and "multistep" takes one drop an iteration at most,
    so a run that is resumed with other stepvalues goes on from the drops it has had, and values that do not rise are
    taken one by one in the order in which they stand.
    """
    if param.lr_policy == "step":
        step = iteration // param.stepsize
    elif param.lr_policy == "multistep" and step < len(param.stepvalue) and iteration >= param.stepvalue[step]:
        step += 1
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(param.base_lr) * POLICIES[param.lr_policy](param, iteration, step), step


def check(param: pb.SolverParameter) -> None:
    """Raises SolverError where a setting that the policy needs is missing or out of its range."""
    name = param.lr_policy
    if not name:
        raise SolverError(f"lr_policy is missing; choose one of {', '.join(POLICIES)}.")
    if name not in POLICIES:
        meant = suggest.did_you_mean(name, POLICIES, ignore_case=True)
        raise SolverError(f'unknown lr_policy "{name}"; there are {", ".join(POLICIES)}.{meant}')
    if not param.HasField("base_lr"):
        raise SolverError("base_lr is missing.")
    for field in NEEDS[name]:
        if not param.HasField(field):
            raise SolverError(f'lr_policy "{name}" needs {field}.')
    if "gamma" in NEEDS[name] and param.gamma < 0:
        raise SolverError(f"gamma is {param.gamma:g}; it may not be negative.")
    if "stepsize" in NEEDS[name] and param.stepsize <= 0:
        raise SolverError(f"stepsize is {param.stepsize}; it must be positive.")
    if "max_iter" in NEEDS[name] and param.max_iter <= 0:
        raise SolverError(f'lr_policy "{name}" needs a positive max_iter, and it is {param.max_iter}.')


def fixed(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """1"""
    return np.float32(1)


def drops(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """γ^step. "step": step = ⌊t / stepsize⌋; "multistep": the stepvalues reached; "plateau": the plateaus met."""
    return np.float32(p.gamma) ** np.float32(step)


def exp(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """γ^t"""
    return np.float32(p.gamma) ** np.float32(iteration)


def inv(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """(1 + γ t)^−power"""
    return (np.float32(1) + np.float32(p.gamma) * np.float32(iteration)) ** np.float32(-p.power)


def poly(p: pb.SolverParameter, iteration: int, step: int) -> np.float32:
    """(1 − t / max_iter)^power; 0 from max_iter on, where Caffe's formula has no value."""
    left = np.float32(1) - np.float32(iteration) / np.float32(p.max_iter)
    return max(left, np.float32(0)) ** np.float32(p.power)


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

NEEDS: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma",),
    "poly": ("power", "max_iter"),
    "sigmoid": ("gamma", "stepsize"),
    "cosine": ("max_iter",),
    "plateau": ("gamma", "stepsize"),
}
"""What a policy cannot do without. (Caffe takes a missing gamma or power for 0, and goes silently wrong.)"""
