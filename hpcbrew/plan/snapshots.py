"""Estimates the space that a job's snapshots take on scratch, before the job is sent."""

from math import prod

from engine.graph.blob_shapes import Sizes
from engine.proto import caffe_pb2 as pb
from hpcbrew.plan.memory import HISTORIES
from hpcbrew.train_flags import TrainFlags


def need(sizes: Sizes, solver: pb.SolverParameter, flags: TrainFlags = ()) -> int:
    """Returns the bytes of all snapshots that exist at a time; 0 if no parameter's size is known.

    Each consists of a model and a solver state with 4 bytes per number; the model repeats a shared parameter for each
    of its layers. With `keep`, the new snapshot is written before an old one is deleted; with `watch`, that of the best
    test is kept too.
    """
    model = sum(prod(shape) for params in sizes.params.values() for _, shape in params) * (1 + solver.snapshot_diff)
    one = 4 * (model + HISTORIES.get(solver.type, 1) * sum(map(prod, sizes.own)))
    flag_values = dict(flags)
    count = _written(solver)
    keep = int(flag_values.get("keep", 0))
    return one * (min(count, keep + 1 + ("watch" in flag_values)) if keep else count)


def _written(solver: pb.SolverParameter) -> int:
    """Returns how many snapshots a training writes: one every `snapshot` iterations, and one at the end."""
    whole, rest = divmod(solver.max_iter, solver.snapshot) if solver.snapshot > 0 else (0, 1)
    return whole + (solver.snapshot_after_train and rest > 0)
