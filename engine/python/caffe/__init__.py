"""Caffe's Python interface on this project's engine. Put the parent folder on PYTHONPATH and `import caffe`."""

try:
    from . import embedded  # isort: skip  # noqa: F401  before JAX
except ModuleNotFoundError as e:
    raise ModuleNotFoundError("import caffe needs the engine: pip install 'hpcbrew[engine]'", name=e.name) from e

from engine.proto.caffe_pb2 import TEST, TRAIN

from . import _caffe, fork_modules, former, io, logs, proto, pycaffe
from ._caffe import *  # noqa: F403  all its public names
from ._caffe import __version__
from .classifier import Classifier
from .detector import Detector
from .net_spec import NetSpec, layers, params, to_proto

logs.begin()
fork_modules.begin()

__all__ = [  # noqa: PLE0604  a list of strings, spread
    *_caffe.__all__,
    "TEST",
    "TRAIN",
    "Classifier",
    "Detector",
    "NetSpec",
    "__version__",
    "io",
    "layers",
    "params",
    "proto",
    "pycaffe",
    "to_proto",
]


def __getattr__(name: str) -> object:
    raise former.missing("module 'caffe'", name)
