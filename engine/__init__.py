"""Caffe's nets and solvers in JAX."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's own log: what goes wrong is raised as well
