"""The layer types by name: `@layer("ReLU")` registers a class, `create` makes the layer of a node."""

from collections.abc import Callable
from typing import TypeVar

from engine.graph import layer_names
from engine.graph.graph import Node
from engine.layers.base import Layer

REGISTRY: dict[str, type[Layer]] = {}

LayerType = TypeVar("LayerType", bound=type[Layer])


def layer(name: str) -> Callable[[LayerType], LayerType]:
    """Registers a class as the layer type `name`, which `engine.graph.layer_names` lists too."""

    def register(cls: LayerType) -> LayerType:
        cls.type = name
        REGISTRY[name] = cls
        return cls

    return register


def create(node: Node) -> Layer:
    """The layer of a node. Raises LayerError for a type that is not there, with what is nearest."""
    kind = node.config.type
    if kind not in REGISTRY:
        raise node.error(layer_names.unknown(kind))
    made = REGISTRY[kind](node)
    made.check_counts()
    return made
