"""Caffe's Python interface on this project's engine. Put the folder above this one on PYTHONPATH and `import caffe`."""

try:
    import jax  # noqa: F401
except ModuleNotFoundError as e:
    raise ModuleNotFoundError("import caffe needs the engine: pip install 'hpcbrew[engine]'", name=e.name) from e

from engine.layers.python import UserLayer as Layer
from engine.layers.registry import REGISTRY
from engine.proto.caffe_pb2 import TEST, TRAIN

from . import io, proto
from .classifier import Classifier
from .detector import Detector
from .mode import set_device, set_mode_cpu, set_mode_gpu, set_random_seed
from .net_spec import NetSpec, layers, params, to_proto
from .pycaffe import Net
from .solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__version__ = "1.0.0"
"""Caffe's, whose interface this is."""


def layer_type_list() -> list[str]:
    """The layer types that there are."""
    return sorted(REGISTRY)


__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "get_solver",
    "io",
    "layer_type_list",
    "layers",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "to_proto",
]
