"""Numerics that need more than one line of JAX, with their gradients and the fastest forms of both."""
