"""Which layers a net has and how they join. Imports no JAX: the submitter reads nets through it too."""

from engine.graph.build import build_graph as build

__all__ = ["build"]
