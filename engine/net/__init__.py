"""The net: a graph with shapes and parameters, and one pure forward pass."""

from engine.net.net import Net

__all__ = ["Net"]
