"""Caffe's nets and solvers in JAX."""

import os

CAFFE_VERSION = "1.0.0"
"""That of the Caffe whose commands and interface these are, as it says."""

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's own log: what goes wrong is raised as well
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a damaged picture, in four lines of its own: we name it in one
