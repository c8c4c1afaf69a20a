"""Warnings about solver settings that are probably not what the user meant, given before the job is sent."""

from collections.abc import Iterator
from pathlib import Path

from engine.proto import caffe_pb2 as pb
from engine.solver import lr_policy
from hpcbrew.errors import RequestError


def check_length(solver: pb.SolverParameter, path: Path) -> None:
    """Raises RequestError for a solver without max_iter: Caffe takes that for 0 iterations, and writes no model."""
    if not solver.HasField("max_iter"):
        raise RequestError(
            f"{path}: max_iter is missing, and a job of 0 iterations trains nothing: add max_iter: 1000 or so, or give "
            "--set max_iter=1000"
        )


def warnings(solver: pb.SolverParameter, path: Path, gpus: int, *, tests: bool) -> Iterator[str]:
    """Yields a warning for each valid setting that would surprise the user, in a solver that has been checked. `gpus`:
    per node; `tests`: whether the net has a layer only for phase TEST."""
    for warning in lr_policy.taken_for_zero(solver):
        yield f"{path}: {warning}"
    if tests and not any(solver.test_iter):
        yield f"{path}: test_iter is missing: the net has layers for testing, but no test will be run"
    if solver.HasField("solver_mode") and solver.solver_mode == pb.SolverParameter.GPU and not gpus:
        yield f"{path}: solver_mode is GPU, but the job requests no GPU: it trains on the CPU. --gpu requests one"
