"""Numerics that deserve more than one line of JAX: what they compute, their gradients, their fastest forms."""
