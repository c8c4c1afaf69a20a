"""The names that pycaffe's compiled module has: `from caffe._caffe import Net`."""

from engine import CAFFE_VERSION
from engine.blob import Blob, BlobVec
from engine.layers.python import UserLayer as Layer
from engine.layers.registry import known
from engine.proto.caffe_pb2 import LayerParameter, SolverParameter

from .logs import init_log, log, set_logging_disabled
from .mode import (
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from .nccl import NCCL, has_nccl
from .net import Net
from .solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
)
from .timer import Timer

__version__ = CAFFE_VERSION

RawBlobVec = LayerVec = NetVec = StringVec = IntVec = DtypeVec = BoolVec = list
"""In pycaffe these are C++ vectors; programs import them by these names."""


def layer_type_list() -> list[str]:
    """The names of all layer types."""
    return sorted(known())


__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "BlobVec",
    "Layer",
    "LayerParameter",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "SolverParameter",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_logging_disabled",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]
