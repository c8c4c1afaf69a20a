"""Prepares JAX for a script, with the device and precision flags of `caffe`."""

from engine.devices.jax_setup import prepare

__all__ = ["prepare"]
