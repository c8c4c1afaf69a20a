"""Prepares JAX for a program that imports caffe. It must be imported first, before JAX itself."""

from engine.host import windows

windows.refuse_import("caffe")

from engine.devices import jax_setup  # noqa: E402

jax_setup.prepare_embedded()

import jax  # noqa: E402, F401  so that a missing JAX is noticed here
