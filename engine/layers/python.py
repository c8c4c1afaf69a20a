"""Python: a user's layer, written in Python on numpy blobs, which runs between the compiled parts of a net."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from jax.custom_derivatives import SymbolicZero

from engine import log, user_errors
from engine.blob import Blob, BlobVec
from engine.graph.graph import Node
from engine.layers.base import Array, Arrays, Context, Layer, ParamDecl, Shape, SourceLayer
from engine.layers.registry import layer
from engine.proto import caffe_pb2 as pb

BINDINGS = Path(__file__).parent.parent / "python"
"""The folder that makes the modules' `import caffe` work."""


class Phase(int):
    """TRAIN or TEST: a number, as in Caffe 1.0, that prints as its name, which Faster R-CNN's settings are keyed by."""

    def __str__(self) -> str:
        return pb.Phase.Name(int(self))


class UserLayer:
    """`caffe.Layer`, the base class of users' layers. They implement four methods; all blobs are numpy arrays.

    setup(bottom, top) runs once: checks the configuration, makes parameters with `self.blobs.add_blob(…)`.
    reshape(bottom, top) runs before each pass: `top[0].reshape(…)`. forward(bottom, top) fills `data` of the tops.
    backward(top, propagate_down, bottom) fills `diff` of the bottoms marked in propagate_down and adds to `diff` of the
    parameters.
    """

    param_str: str
    phase: int
    blobs: BlobVec
    type = "Python"

    def __new__(cls, *_: Any, **__: Any) -> Self:
        instance = super().__new__(cls)
        instance.blobs = BlobVec()
        return instance

    @property
    def param_str_(self) -> str:
        """`param_str` under its name of 2015, which Faster R-CNN's layers use."""
        return self.param_str

    def __init__(self, param: pb.LayerParameter) -> None:
        """Takes the layer's configuration, as in Caffe, so that a subclass's own `__init__` can pass it on."""


@layer("Python")
class Python(Layer):
    """The layer that the class `layer` of `module` implements; see `caffe.Layer`.

    The module is searched for in the current folder, beside the prototxt and on PYTHONPATH. Its methods run on the
    host, between the compiled parts of a net. The shapes of its tops may depend on values. Each layer has its own
    instance, so `share_in_parallel` has no effect.
    """

    dynamic = True
    host = True
    single_device_reason = "is one Python object in a process"
    user: UserLayer
    below: list[Blob]
    above: list[Blob]
    """The blobs passed to the user's methods: those given to `bind`, or else the layer's own."""

    def __new__(cls, node: Node | None = None) -> Self:
        makes_batches = node is not None and not node.config.bottom
        return super().__new__(PythonSource if makes_batches else cls)  # type: ignore[return-value]

    def setup(self, *bottoms: Shape) -> list[Shape]:
        if hasattr(self, "user"):
            for blob, shape in zip(self.below, bottoms, strict=True):
                blob.reshape(*shape)
            self.reshape()
        else:
            self._first_setup(bottoms)
        self.params = list(self.declared)
        return [blob.shape for blob in self.above]

    def build(self, bottoms: Sequence[Shape], known: Sequence[Shape | None]) -> list[Shape]:
        """As in the base class, but does not run the user's code if the shapes of all tops are known."""
        if hasattr(self, "user") and all(shape is not None for shape in known):
            self.params = list(self.declared)
            self.top_shapes = [shape for shape in known if shape is not None]
            return self.top_shapes
        return super().build(bottoms, known)

    def _first_setup(self, bottoms: Sequence[Shape]) -> None:
        self.user = self.instance()
        self.below = [Blob(*shape) for shape in bottoms]
        in_place = dict(zip(self.config.bottom, self.below, strict=True))
        self.above = [in_place.get(top) or Blob(0) for top in self.config.top]
        with self.named():
            self.user.setup(self.below, self.above)  # type: ignore[attr-defined]
        self.reshape()
        self.declared = [
            ParamDecl(f"blob {n}", blob.shape, pb.FillerParameter(), value=blob.data.copy())
            for n, blob in enumerate(self.user.blobs)
        ]

    def instance(self) -> UserLayer:
        """Returns a new object of the user's class. Raises LayerError if there is no such class or it fails."""
        p = self.config.python_param
        if not p.module or not p.layer:
            raise self.error("python_param needs module and layer: the module's name and the class in it.")
        beside = Path(self.node.origin.path or ".").parent
        # Python puts the folder of a running command on sys.path; ours has a train.py, which is not the user's module.
        sys.path[:] = [entry for entry in sys.path if not (entry and Path(entry, "caffe.bin").exists())]
        sys.path += [str(f) for f in (Path.cwd(), beside.absolute(), BINDINGS) if str(f) not in sys.path]
        with self.named():
            there_is = _found(p.module)
        if not there_is:
            raise self.error(
                f'there is no module "{p.module}" in {Path.cwd()}, beside the net or on PYTHONPATH; put the folder of '
                f"{p.module.replace('.', '/')}.py on PYTHONPATH."
            )
        with self.named():
            module = importlib.import_module(p.module)
        user_class = getattr(module, p.layer, None)
        if not (isinstance(user_class, type) and issubclass(user_class, UserLayer)):
            class_names = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, UserLayer)]
            where = getattr(module, "__file__", None) or "no file"
            raise self.error(
                f'module "{p.module}" ({where}) has no class "{p.layer}" that is a caffe.Layer; it has '
                f"{', '.join(class_names) or 'none'}."
            )
        with self.named():
            user = user_class(self.config)
        user.param_str, user.phase = p.param_str, Phase(self.phase)
        return user

    def named(self) -> "Named":
        """A context for calls into the user's code: turns an exception into a LayerError that names the layer, file and
        line and can still be caught as the original type.
        """
        return Named(self)

    # As part of a net

    def measure(self, params: Arrays, bottoms: Arrays) -> list[Shape]:
        """Runs the user's forward, which may still change the shapes that reshape gave the tops."""
        _fill(self.user.blobs, params)
        _fill(self.below, bottoms)
        self.run_forward()
        return [blob.shape for blob in self.above]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        """Returns the tops that `measure` computed; their gradient comes from the user's backward."""

        def run(params: list[Array], bottoms: list[Array]) -> list[Array]:
            return [jax.device_put(blob.data.copy()) for blob in self.above]

        def forward(params: Any, bottoms: Any) -> Any:
            perturbed = [() if b.perturbed else None for b in bottoms]  # a pytree, as residuals must be
            values = [p.value for p in params], [b.value for b in bottoms]
            return run(*values), (*values, perturbed)

        def backward(residuals: Any, diffs: Any) -> Any:
            params, bottoms, perturbed = residuals
            known = [None if isinstance(diff, SymbolicZero) else diff for diff in diffs]
            return self.host_backward(params, bottoms, [a is not None for a in perturbed], known)

        if not any(isinstance(x, jax.core.Tracer) for x in (*params, *bottoms)):
            return run(list(params), list(bottoms))
        differentiable = jax.custom_vjp(run)
        differentiable.defvjp(forward, backward, symbolic_zeros=True)
        return list(differentiable(list(params), list(bottoms)))

    def host_backward(
        self, params: Arrays, bottoms: Arrays, propagate_down: Sequence[bool], diffs: Sequence[Any]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Runs the user's backward. As in Caffe, `data` of the tops is what the last forward left, and `diff` of the
        bottoms what the last backward left, for layers that add to it or write only a part of it.
        """
        _fill(self.user.blobs, params)
        own = [n for n, blob in enumerate(self.below) if not any(blob is top for top in self.above)]
        _fill([self.below[n] for n in own], [bottoms[n] for n in own])
        for blob in self.user.blobs:
            blob.diff[...] = 0
        for blob, diff in zip(self.above, diffs, strict=True):
            blob.diff[...] = 0 if diff is None else np.asarray(diff)
        self.run_backward(propagate_down)
        return [b.diff.copy() for b in self.user.blobs], [b.diff.copy() for b in self.below]

    # On the current blobs

    def bind(self, below: Sequence[Blob], above: Sequence[Blob], params: Sequence[Blob]) -> None:
        """Passes these blobs to the user's methods from now on."""
        self.below[:], self.above[:] = below, above
        self.user.blobs[:] = params

    def reshape(self) -> None:
        """Runs the user's `reshape`. Raises LayerError, as do the next two methods."""
        with self.named():
            self.user.reshape(self.below, self.above)  # type: ignore[attr-defined]

    def run_forward(self) -> None:
        """Runs the user's `reshape` and `forward`."""
        self.reshape()
        with self.named():
            self.user.forward(self.below, self.above)  # type: ignore[attr-defined]

    def run_backward(self, propagate_down: Sequence[bool]) -> None:
        """Runs the user's `backward`."""
        with self.named():
            self.user.backward(self.above, list(propagate_down), self.below)  # type: ignore[attr-defined]


class Named:
    """The context of `Python.named`. It catches SystemExit too: a layer that calls sys.exit must not end the run, and
    even less as a success.

    It is a class because contextlib's generators let StopIteration through, which any `next` in user code can raise.
    """

    def __init__(self, layer: Python) -> None:
        self._layer = layer

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt):
            p = self._layer.config.python_param
            located = self._layer.error(user_errors.described(error, f"{p.module}.{p.layer}"))
            raise user_errors.caught_as(located, error) from error


def _fill(blobs: Sequence[Blob], values: Arrays) -> None:
    for blob, value in zip(blobs, values, strict=True):
        blob.reshape(*value.shape)
        blob.data[...] = np.asarray(value)


def _found(module: str) -> bool:
    """Whether the module exists. Imports the packages that contain it, and raises what they raise."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as e:
        if e.name is not None and f"{module}.".startswith(f"{e.name}."):
            return False
        raise


class PythonSource(Python, SourceLayer):
    """A Python layer without bottoms: a source of batches of any shapes, each made when it is needed, not ahead."""

    bottoms = SourceLayer.bottoms
    tops = SourceLayer.tops
    single_device_reason = SourceLayer.single_device_reason
    dynamic = False
    host = False
    prefetch = None

    def setup(self) -> list[Shape]:
        if hasattr(self, "user"):
            return self.top_shapes  # known from the last batch, so the user's code need not run
        shapes = Python.setup(self)
        if self.params:
            raise self.error("a Python layer without bottoms is a source of data and cannot have parameters.")
        return shapes

    def open(self, seed: int) -> "PythonSource":
        return self

    def shapes(self) -> list[Shape]:
        return self.top_shapes

    def next(self) -> dict[str, np.ndarray]:
        self.run_forward()
        return {top: blob.data.copy() for top, blob in zip(self.config.top, self.above, strict=True)}

    def skip(self, batches: int) -> None:
        for _ in range(batches):
            self.next()

    def record(self, index: int) -> str:
        return f"item {index} of a batch of {self.config.python_param.module}.{self.config.python_param.layer}"

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        log.warning("python_layer.cpp:1", f'layer "{self.name}" (Python) reads its data from the start again.')

    def close(self) -> None:
        """Does nothing: any open resources are the user's."""
