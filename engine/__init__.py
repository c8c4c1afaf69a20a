"""Caffe's nets and solvers in JAX."""
