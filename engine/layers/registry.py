"""The layer types by name: `@layer("ReLU")` registers a class, `create` makes the layer of a node.

Forks of Caffe use one name for different layers. `@layer("BN", when=...)` registers a class for the nets whose
configuration of the layer identifies that fork; `beside=...` does so for the nets whose other layers identify it.
Modules with layers from outside the tree are run when a net first asks for one of their types.
"""

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import TypeVar

from engine.graph import counts
from engine.graph.graph import Node
from engine.layers.base import Layer
from engine.proto import caffe_pb2 as pb
from engine.proto import layer_modules, layer_names

REGISTRY: dict[str, type[Layer]] = {}

Condition = Callable[[pb.LayerParameter], bool]
VARIANTS: defaultdict[str, list[tuple[Callable[[Node], bool], type[Layer]]]] = defaultdict(list)
"""Layer type → (condition, class). The first condition that holds selects the class."""

LayerType = TypeVar("LayerType", bound=type[Layer])


def layer(name: str, when: Condition | None = None, beside: Collection[str] = ()) -> Callable[[LayerType], LayerType]:
    """Registers a class as the layer type `name`, which `engine.proto.layer_names` must list too.

    `when` limits the class to configurations for which it is true; `beside` limits it to nets that have a layer of one
    of these types. The class registered with neither serves all other cases.
    """

    def register(cls: LayerType) -> LayerType:
        cls.type = name
        if when is not None:
            VARIANTS[name].append((lambda node: when(node.config), cls))
        elif beside:
            VARIANTS[name].append((lambda node: not node.beside.isdisjoint(beside), cls))
        else:
            REGISTRY[name] = cls
            cls.bottoms, cls.tops = counts.of(name) or (cls.bottoms, cls.tops)
        return cls

    return register


def known() -> set[str]:
    """The types that `create` can make, including those of modules that have not been run yet."""
    return {*REGISTRY, *layer_names.known()}


def create(node: Node) -> Layer:
    """Returns the layer of a node. Raises LayerError, naming the closest match, for an unknown type."""
    kind = node.config.type
    if kind not in REGISTRY:
        _load(node)
    fitting = (cls for holds, cls in VARIANTS[kind] if holds(node))
    instance = next(fitting, REGISTRY[kind])(node)
    instance.check_counts()
    return instance


def _load(node: Node) -> None:
    """Runs the module that defines the type of a node. Raises LayerError if no module does."""
    kind = node.config.type
    module = layer_modules.types().get(kind)
    if module is None:
        raise node.error(layer_names.unknown(kind))
    layer_modules.load(module)
    if kind not in REGISTRY:
        raise node.error(f'{module.path} ran without registering a layer "{kind}" with engine.layers.registry.layer.')
