"""Whether there are the layers that a graph asks for, told without JAX: a laptop can refuse them too."""

from collections.abc import Collection

from engine.errors import LayerError
from engine.graph import fits
from engine.graph.graph import Graph
from engine.proto import layer_names


def check(graph: Graph, there: Collection[str] | None = None) -> None:
    """Raises LayerError for what is not there: a line for each type, and for each field of a fork, where it is first;
    and for a setting that is NaN.

    there: the types that there are, if not `layer_names.known`.
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
