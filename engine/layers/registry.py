"""The layer types by name: `@layer("ReLU")` registers a class, `create` makes the layer of a node.

Forks of Caffe have given one name to different layers: `@layer("BN", when=...)` registers what a type is where its
configuration shows that it is that fork's, `beside=...` where the other layers of its net do. Modules of layers from
outside of the tree are run when a net first asks for one of their types.
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
"""Layer type → what it is where a condition holds; the first that holds counts."""

LayerType = TypeVar("LayerType", bound=type[Layer])


def layer(name: str, when: Condition | None = None, beside: Collection[str] = ()) -> Callable[[LayerType], LayerType]:
    """Registers a class as the layer type `name`, which `engine.proto.layer_names` lists too.

    `when`: only for configurations of which it holds; `beside`: only in nets that have a layer of one of these types.
    The class without either is for all others.
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
    """The types that `create` makes, those of modules that have not been run yet included."""
    return {*REGISTRY, *layer_names.known()}


def create(node: Node) -> Layer:
    """The layer of a node. Raises LayerError for a type that is not there, with what is nearest."""
    kind = node.config.type
    if kind not in REGISTRY:
        _load(node)
    fitting = (cls for holds, cls in VARIANTS[kind] if holds(node))
    made = next(fitting, REGISTRY[kind])(node)
    made.check_counts()
    return made


def _load(node: Node) -> None:
    """Runs the module that has the type of a node. Raises LayerError where none has it."""
    kind = node.config.type
    module = layer_modules.types().get(kind)
    if module is None:
        raise node.error(layer_names.unknown(kind))
    layer_modules.load(module)
    if kind not in REGISTRY:
        raise node.error(
            f'{module.path} has run, and has registered no layer "{kind}" with engine.layers.registry.layer.'
        )
