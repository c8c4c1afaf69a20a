"""A net small enough to train in a test, the solver that trains it, and its batches."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver.solver import Solver

GOLDEN = Path(__file__).parents[1] / "engine" / "solver" / "golden"

NET = """
name: "tiny"
layer { name: "in" type: "Input" top: "x" top: "t" input_param { shape { dim: 8 dim: 6 } shape { dim: 8 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "h" %s
  inner_product_param { num_output: 7 weight_filler { type: "gaussian" std: 0.5 } bias_filler { value: 0.1 } } }
layer { name: "tanh" type: "TanH" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 0.5 } bias_filler { value: 0.2 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""
LEARNED = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"
FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"
SETTINGS = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 20 random_seed: 7 snapshot_prefix: "model" solver_mode: CPU '

MakeSolver = Callable[..., Solver]


def parameter(settings: str = "momentum: 0.9", net: str = NET % LEARNED) -> pb.SolverParameter:
    """A solver with SETTINGS, which `settings` may override, and its own net."""
    param = text.parse(SETTINGS, pb.SolverParameter)
    param.MergeFrom(text.parse(settings, pb.SolverParameter))
    if not any(param.HasField(name) for name in ("net", "train_net", "train_net_param")):
        param.net_param.CopyFrom(text.parse(net, pb.NetParameter))
    return param


def feed(solver: Solver, iteration: int) -> None:
    """Fills in the batch of an iteration, always the same for the same iteration."""
    rng = np.random.default_rng(iteration)
    solver.batches.values["x"][...] = rng.standard_normal((8, 6))
    solver.batches.values["t"][...] = rng.integers(0, 4, 8)


def train(solver: Solver, until: int) -> None:
    """Runs iterations up to `until`, each on its own batch."""
    while solver.iter < until:
        feed(solver, solver.iter)
        solver.step(1)


def values(solver: Solver) -> list[np.ndarray]:
    """The parameters on the host."""
    return [np.array(p) for p in solver.params]
