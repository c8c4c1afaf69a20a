"""For scripts that import from here what `caffe` itself has: `from caffe.pycaffe import SGDSolver`."""

from ._caffe import *  # noqa: F403
