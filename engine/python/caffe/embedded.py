"""Readies JAX for a program that imports caffe: the first import, before that of JAX itself."""

from engine.devices import jax_setup

jax_setup.prepare_embedded()

import jax  # noqa: E402, F401  which is missed here, where it is
