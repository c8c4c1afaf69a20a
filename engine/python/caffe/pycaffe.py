"""Where scripts look for what is theirs in `caffe` itself: `from caffe.pycaffe import SGDSolver`."""

from ._caffe import *  # noqa: F403
