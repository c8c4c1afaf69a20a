"""Caffe's nets and solvers in JAX."""

import os

CAFFE_VERSION = "1.0.0"
"""The version that the engine reports: that of the Caffe whose commands and Python interface it offers."""

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's own log: its errors are raised as well
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # four lines for each damaged picture; ours is one
