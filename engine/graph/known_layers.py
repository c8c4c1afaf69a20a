"""Checks that the engine has the layers of a graph. Needs no JAX, so that a laptop can refuse a net too."""

from collections.abc import Collection

from engine.errors import LayerError
from engine.graph import fits
from engine.graph.graph import Graph
from engine.proto import layer_names


def check(graph: Graph, there: Collection[str] | None = None) -> None:
    """Raises LayerError for layers that the engine lacks: one line for each type, and for each field of a fork, at its
    first use. Also raises it for a setting that is NaN.

    there: the available types, if not those of `layer_names.known`.
    """
    for node in graph.nodes:
        fits.numbers(node)
    there = layer_names.known() if there is None else there
    said: dict[str, str] = {}
    for node in graph.nodes:
        for name, words in layer_names.lacking(node.config, there):
            if name not in said:
                said[name] = str(node.error(words))
    if said:
        raise LayerError("\n".join(said.values()))
