"""The layer types by name: `@layer("ReLU")` registers a class, `create` makes the layer of a node.

Forks of Caffe have given one name to different layers: `@layer("BN", when=...)` registers what a type is where its
configuration shows that it is that fork's.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from engine.graph import layer_names
from engine.graph.graph import Node
from engine.layers.base import Layer
from engine.proto import caffe_pb2 as pb

REGISTRY: dict[str, type[Layer]] = {}

Condition = Callable[[pb.LayerParameter], bool]
VARIANTS: defaultdict[str, list[tuple[Condition, type[Layer]]]] = defaultdict(list)
"""Layer type → what it is where a condition holds of its configuration; the first that holds counts."""

LayerType = TypeVar("LayerType", bound=type[Layer])


def layer(name: str, when: Condition | None = None) -> Callable[[LayerType], LayerType]:
    """Registers a class as the layer type `name`, which `engine.graph.layer_names` lists too.

    `when`: only for configurations of which it holds; the class without it is for all others.
    """

    def register(cls: LayerType) -> LayerType:
        cls.type = name
        if when is not None:
            VARIANTS[name].append((when, cls))
        else:
            REGISTRY[name] = cls
        return cls

    return register


def create(node: Node) -> Layer:
    """The layer of a node. Raises LayerError for a type that is not there, with what is nearest."""
    kind = node.config.type
    if kind not in REGISTRY:
        raise node.error(layer_names.unknown(kind))
    fitting = (cls for when, cls in VARIANTS[kind] if when(node.config))
    made = next(fitting, REGISTRY[kind])(node)
    made.check_counts()
    return made
