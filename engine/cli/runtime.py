"""JAX made ready for a script, with the device and precision that `caffe` takes."""

from engine.devices.jax_setup import prepare

__all__ = ["prepare"]
