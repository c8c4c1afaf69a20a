"""Python: a layer that the user wrote in Python, on numpy blobs, between the compiled parts of a net."""

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
"""Where the modules find what they begin with: `import caffe`."""


class Phase(int):
    """TRAIN or TEST as a number, as in Caffe 1.0, and written out its name: Faster R-CNN's settings go by that."""

    def __str__(self) -> str:
        return pb.Phase.Name(int(self))


class UserLayer:
    """`caffe.Layer`, the base of users' layers. They write four methods; all blobs are numpy arrays on the host.

    setup(bottom, top), once: checks the configuration, makes parameters with `self.blobs.add_blob(…)`. reshape(bottom,
    top), before each pass: `top[0].reshape(…)`. forward(bottom, top): fills `data` of the tops. backward(top,
    propagate_down, bottom): fills `diff` of the bottoms that are asked for, and adds to `diff` of the parameters.
    """

    param_str: str
    phase: int
    blobs: BlobVec
    type = "Python"

    def __new__(cls, *_: Any, **__: Any) -> Self:
        made = super().__new__(cls)
        made.blobs = BlobVec()
        return made

    @property
    def param_str_(self) -> str:
        """`param_str`, as Caffe called it in 2015: Faster R-CNN's layers ask for it so."""
        return self.param_str

    def __init__(self, param: pb.LayerParameter) -> None:
        """A class that has an `__init__` of its own is given the same, as in Caffe, and hands it on."""


@layer("Python")
class Python(Layer):
    """Bottoms, tops and parameters as the class `layer` of `module` says. See `caffe.Layer`.

    The module is looked for in the current folder, beside the prototxt and on PYTHONPATH. Its methods run on the host,
    between the compiled parts of a net; the shapes of its tops may follow from values. There is one instance for each
    layer, so `share_in_parallel` changes nothing.
    """

    dynamic = True
    host = True
    alone = "is one Python object in a process"
    user: UserLayer
    below: list[Blob]
    above: list[Blob]
    """The blobs that the user's methods get: those of whoever runs the layer, see `bind`, or else its own."""

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

    def build(self, bottoms: Sequence[Shape], told: Sequence[Shape | None]) -> list[Shape]:
        """Where all tops' shapes are told, nothing is asked of the user's code."""
        if hasattr(self, "user") and all(shape is not None for shape in told):
            self.params = list(self.declared)
            self.top_shapes = [shape for shape in told if shape is not None]
            return self.top_shapes
        return super().build(bottoms, told)

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
        """A new object of the user's class. Raises LayerError where that cannot be had."""
        p = self.config.python_param
        if not p.module or not p.layer:
            raise self.error("python_param needs module and layer: the module's name and the class in it.")
        beside = Path(self.node.origin.path or ".").parent
        # The folder of our commands, where Python begins to look in one, has a train.py that is no user's module.
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
        made = getattr(module, p.layer, None)
        if not (isinstance(made, type) and issubclass(made, UserLayer)):
            there = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, UserLayer)]
            where = getattr(module, "__file__", None) or "no file"
            raise self.error(
                f'module "{p.module}" ({where}) has no class "{p.layer}" that is a caffe.Layer; it has '
                f"{', '.join(there) or 'none'}."
            )
        with self.named():
            user = made(self.config)
        user.param_str, user.phase = p.param_str, Phase(self.phase)
        return user

    def named(self) -> "Named":
        """Around calls of the user's code: what it raises becomes a LayerError with the layer, file and line, which is
        caught as what it was, too.
        """
        return Named(self)

    # As a part of a net

    def measure(self, params: Arrays, bottoms: Arrays) -> list[Shape]:
        """Runs the user's forward, which may give tops other shapes yet than reshape did."""
        _fill(self.user.blobs, params)
        _fill(self.below, bottoms)
        self.run_forward()
        return [blob.shape for blob in self.above]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        """The tops, as `measure` has left them; their gradient by the user's backward."""

        def run(params: list[Array], bottoms: list[Array]) -> list[Array]:
            return [jax.device_put(blob.data.copy()) for blob in self.above]

        def forward(params: Any, bottoms: Any) -> Any:
            asked = [() if b.perturbed else None for b in bottoms]  # a tree, as all that is kept
            values = [p.value for p in params], [b.value for b in bottoms]
            return run(*values), (*values, asked)

        def backward(kept: Any, diffs: Any) -> Any:
            params, bottoms, asked = kept
            known = [None if isinstance(diff, SymbolicZero) else diff for diff in diffs]
            return self.pulled(params, bottoms, [a is not None for a in asked], known)

        if not any(isinstance(x, jax.core.Tracer) for x in (*params, *bottoms)):
            return run(list(params), list(bottoms))
        differentiable = jax.custom_vjp(run)
        differentiable.defvjp(forward, backward, symbolic_zeros=True)
        return list(differentiable(list(params), list(bottoms)))

    def pulled(
        self, params: Arrays, bottoms: Arrays, asked: Sequence[bool], diffs: Sequence[Any]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """By the user's backward. Tops' data is what the last forward left, and bottoms' diff what the last backward
        did, as in Caffe: a layer that adds to it, or writes a part, finds it so.
        """
        _fill(self.user.blobs, params)
        own = [n for n, blob in enumerate(self.below) if not any(blob is top for top in self.above)]
        _fill([self.below[n] for n in own], [bottoms[n] for n in own])
        for blob in self.user.blobs:
            blob.diff[...] = 0
        for blob, diff in zip(self.above, diffs, strict=True):
            blob.diff[...] = 0 if diff is None else np.asarray(diff)
        self.run_backward(asked)
        return [b.diff.copy() for b in self.user.blobs], [b.diff.copy() for b in self.below]

    # On the blobs as they are

    def bind(self, below: Sequence[Blob], above: Sequence[Blob], params: Sequence[Blob]) -> None:
        """From now on the user's methods get these blobs."""
        self.below[:], self.above[:] = below, above
        self.user.blobs[:] = params

    def reshape(self) -> None:
        """The user's `reshape`. Raises LayerError, as those that follow."""
        with self.named():
            self.user.reshape(self.below, self.above)  # type: ignore[attr-defined]

    def run_forward(self) -> None:
        """The user's `reshape` and `forward`."""
        self.reshape()
        with self.named():
            self.user.forward(self.below, self.above)  # type: ignore[attr-defined]

    def run_backward(self, propagate_down: Sequence[bool]) -> None:
        """The user's `backward`."""
        with self.named():
            self.user.backward(self.above, list(propagate_down), self.below)  # type: ignore[attr-defined]


class Named:
    """See `Python.named`. sys.exit in a layer ends no run, least of all as if it were done.

    A class, as contextlib's generators let a StopIteration through, which any `next` of the user's raises.
    """

    def __init__(self, layer: Python) -> None:
        self._layer = layer

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt):
            p = self._layer.config.python_param
            located = self._layer.error(user_errors.told(error, f"{p.module}.{p.layer}"))
            raise user_errors.caught_as(located, error) from error


def _fill(blobs: Sequence[Blob], values: Arrays) -> None:
    for blob, value in zip(blobs, values, strict=True):
        blob.reshape(*value.shape)
        blob.data[...] = np.asarray(value)


def _found(module: str) -> bool:
    """Whether there is such a module. Imports the packages that it is in, and raises what they raise."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as e:
        if e.name is not None and f"{module}.".startswith(f"{e.name}."):
            return False
        raise


class PythonSource(Python, SourceLayer):
    """A Python layer without bottoms: it makes batches, of any shapes, each when it is used and not before."""

    bottoms = SourceLayer.bottoms
    tops = SourceLayer.tops
    alone = SourceLayer.alone
    dynamic = False
    host = False
    prefetch = None

    def setup(self) -> list[Shape]:
        if hasattr(self, "user"):
            return self.top_shapes  # those of its last batch are known: nothing is asked of the user's code
        shapes = Python.setup(self)
        if self.params:
            raise self.error("a Python layer without bottoms makes batches and has no parameters.")
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
        """Holds nothing open that is not the user's."""
