"""Layers from outside of the tree: which of their modules a job takes along, and what these import."""

from collections.abc import Iterable, Iterator

from engine.proto import caffe_pb2 as pb
from engine.proto import layer_modules
from engine.proto.layer_modules import LayerModule
from hpcbrew.errors import ManifestError
from hpcbrew.plan import python_modules


def used(definitions: Iterable[pb.SolverParameter | pb.NetParameter]) -> tuple[LayerModule, ...]:
    """The modules that the user has named, and of those that packages name the ones whose types the nets have.

    Raises EngineError for one that cannot be read.
    """
    types = {layer.type for definition in definitions for net in _nets(definition) for layer in net.layer}
    modules = layer_modules.modules()
    return tuple(module for module in modules if not module.installed or types.intersection(module.types))


def sources(modules: Iterable[LayerModule]) -> dict[str, str]:
    """The texts of modules, and of all that they import of their own folders, by their places in the run folder.

    Raises ManifestError for what cannot be shipped.
    """
    found: dict[str, str] = {}
    for module in modules:
        shipped = python_modules.sources(module.name, [module.root], f"layers of {module.path}")
        for place, text in shipped.items():
            if found.setdefault(place, text) != text:
                raise ManifestError(f"layers of {module.path}: another module is called {place} too: rename one")
    return found


def _nets(definition: pb.SolverParameter | pb.NetParameter) -> Iterator[pb.NetParameter]:
    if isinstance(definition, pb.NetParameter):
        yield definition
        return
    for name in ("net_param", "train_net_param"):
        yield getattr(definition, name)
    yield from definition.test_net_param
