"""Layers from outside the tree: which of their modules a job needs, and what these import."""

from collections.abc import Iterable, Iterator

from engine.proto import caffe_pb2 as pb
from engine.proto import layer_modules
from engine.proto.layer_modules import LayerModule
from hpcbrew.errors import ManifestError
from hpcbrew.plan import python_modules


def used(definitions: Iterable[pb.SolverParameter | pb.NetParameter]) -> tuple[LayerModule, ...]:
    """Returns the modules named by the user, and those named by installed packages whose layer types the nets use.

    Raises EngineError for a module that cannot be read.
    """
    types = {layer.type for definition in definitions for net in _nets(definition) for layer in net.layer}
    modules = layer_modules.modules()
    return tuple(module for module in modules if not module.installed or types.intersection(module.types))


def sources(modules: Iterable[LayerModule]) -> dict[str, str]:
    """Returns the sources of modules, and of all that they import from their own folders, by their places in the run
    folder.

    Raises ManifestError for what cannot be sent along.
    """
    texts: dict[str, str] = {}
    for module in modules:
        module_files = python_modules.sources(module.name, [module.root], f"layers of {module.path}")
        for place, text in module_files.items():
            if texts.setdefault(place, text) != text:
                raise ManifestError(f"layers of {module.path}: another module is also called {place}: rename one")
    return texts


def _nets(definition: pb.SolverParameter | pb.NetParameter) -> Iterator[pb.NetParameter]:
    if isinstance(definition, pb.NetParameter):
        yield definition
        return
    for name in ("net_param", "train_net_param"):
        yield getattr(definition, name)
    yield from definition.test_net_param
