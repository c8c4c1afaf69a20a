"""Checks that the engine has the layers of a graph. Needs no JAX, so that a laptop can refuse a net too."""

from collections.abc import Collection

from engine.errors import LayerError
from engine.graph import fits
from engine.graph.graph import Graph
from engine.proto import layer_names


def check(graph: Graph, types: Collection[str] | None = None) -> None:
    """Raises LayerError for layers that the engine lacks: one line for each type, and for each field of a fork, at its
    first use. Also raises it for a setting that is NaN.

    types: the available types, if not those of `layer_names.known`.
    """
    for node in graph.nodes:
        fits.numbers(node)
    types = layer_names.known() if types is None else types
    messages: dict[str, str] = {}
    for node in graph.nodes:
        for name, words in layer_names.lacking(node.config, types):
            if name not in messages:
                messages[name] = str(node.error(words))
    if messages:
        raise LayerError("\n".join(messages.values()))
