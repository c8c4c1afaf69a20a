"""Which layers a net has and how they are connected. Imports no JAX, since the submitter reads nets with it too."""

from engine.graph.build import build_graph as build

__all__ = ["build"]
