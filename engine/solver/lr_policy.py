"""The learning-rate policies by name, and the settings that each needs. Imports no NumPy, for the submitter's sake."""

from engine import suggest
from engine.errors import SolverError
from engine.proto import caffe_pb2 as pb

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
"""The settings that each policy uses."""

OF_CAFFE = ("step", "exp", "inv", "multistep", "poly", "sigmoid")
ZERO = ("gamma", "power")
"""The settings that Caffe's own policies take as 0 if they are missing."""


def check(param: pb.SolverParameter) -> None:
    """Raises SolverError if a setting that the policy needs is missing or out of range."""
    name = param.lr_policy
    if not name:
        raise SolverError(f"lr_policy is missing; choose one of {', '.join(NEEDS)}.")
    if name not in NEEDS:
        suggestion = suggest.did_you_mean(name, NEEDS, ignore_case=True)
        raise SolverError(f'unknown lr_policy "{name}"; there are {", ".join(NEEDS)}.{suggestion}', "lr_policy")
    if not param.HasField("base_lr"):
        raise SolverError("base_lr is missing.")
    for field in NEEDS[name]:
        if not param.HasField(field) and not (name in OF_CAFFE and field in ZERO):
            raise SolverError(f'lr_policy "{name}" needs {field}.', "lr_policy")
    if "gamma" in NEEDS[name] and param.gamma < 0:
        raise SolverError(f"gamma is {param.gamma:g}; it may not be negative.", "gamma")
    if "stepsize" in NEEDS[name] and param.stepsize <= 0:
        raise SolverError(f"stepsize is {param.stepsize}; it must be positive.", "stepsize")
    if "max_iter" in NEEDS[name] and param.max_iter <= 0:
        raise SolverError(f'lr_policy "{name}" needs a positive max_iter, but it is {param.max_iter}.', "max_iter")


def taken_for_zero(param: pb.SolverParameter) -> list[str]:
    """Messages about settings that the policy takes as 0 since they are missing. `param` has passed `check`."""
    missing = [field for field in NEEDS[param.lr_policy] if field in ZERO and not param.HasField(field)]
    return [f'lr_policy "{param.lr_policy}" uses {field}, which is missing and counts as 0' for field in missing]
