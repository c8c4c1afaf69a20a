"""The names of the layer types, read off the layers' source: a laptop without JAX can tell a misspelt one too."""

import re
from functools import cache
from pathlib import Path

from engine import suggest
from engine.graph.graph import Graph
from engine.proto import forks

_REGISTERED = re.compile(r'^@layer\("(\w+)"\)', re.MULTILINE)


@cache
def known() -> frozenset[str]:
    """The types that `engine.layers` registers."""
    folder = Path(__file__).parents[1] / "layers"
    return frozenset(name for file in folder.glob("*.py") for name in _REGISTERED.findall(file.read_text("utf-8")))


def check(graph: Graph) -> None:
    """Raises LayerError for the first layer of a type that is not there."""
    for node in graph.nodes:
        if node.config.type not in known():
            raise node.error(unknown(node.config.type))


def unknown(kind: str) -> str:
    """What to say of a type that is not there: whose it is, or what is nearest to it."""
    if kind in forks.TYPES:
        return f'layer type "{kind}" is not one of Caffe\'s: it belongs to {forks.TYPES[kind]}.'
    near = suggest.closest(kind, (*known(), *forks.TYPES), 3, ignore_case=True)
    advice = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(sorted(known()))}."
    return f'unknown layer type "{kind}". {advice}'
