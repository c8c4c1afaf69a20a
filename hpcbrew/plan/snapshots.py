"""What a job's snapshots take of scratch, estimated before the job is sent."""

from math import prod

from engine.graph.blob_shapes import Sizes
from engine.proto import caffe_pb2 as pb
from hpcbrew.plan.memory import HISTORIES
from hpcbrew.train_flags import TrainFlags


def need(sizes: Sizes, solver: pb.SolverParameter, flags: TrainFlags = ()) -> int:
    """Bytes of all snapshots that are there at a time; 0 where no parameter's size is known.

    Each is a model and a solver state of 4 bytes a number; the model has a parameter that layers share in each of them.
    With `keep` the new one is written before an old one goes, and with `watch` that of the best test stays too.
    """
    model = sum(prod(shape) for params in sizes.params.values() for _, shape in params) * (1 + solver.snapshot_diff)
    one = 4 * (model + HISTORIES.get(solver.type, 1) * sum(map(prod, sizes.own)))
    given = dict(flags)
    written = _written(solver)
    kept = int(given.get("keep", 0))
    return one * (min(written, kept + 1 + ("watch" in given)) if kept else written)


def _written(solver: pb.SolverParameter) -> int:
    """How many a training writes: one every `snapshot` iterations, and one at its end."""
    whole, rest = divmod(solver.max_iter, solver.snapshot) if solver.snapshot > 0 else (0, 1)
    return whole + (solver.snapshot_after_train and rest > 0)
