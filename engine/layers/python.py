"""Python: a layer that the user wrote in Python, on numpy blobs, inside a compiled net."""

import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from engine import forked, log, user_errors
from engine.blob import Blob, BlobVec
from engine.errors import DeviceError, LayerError
from engine.graph.graph import Node
from engine.layers.base import Array, Arrays, Context, Layer, ParamDecl, Shape, SourceLayer
from engine.layers.registry import layer
from engine.proto import caffe_pb2 as pb

BINDINGS = Path(__file__).parent.parent / "python"
"""Where the modules find what they begin with: `import caffe`."""

logging.getLogger("jax._src.callback").setLevel(logging.CRITICAL)  # it prints what `surfaced` raises

_failed: list[LayerError] = []
"""What a user's method raised inside a compiled function, which would pass on its text alone."""


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


@contextmanager
def surfaced() -> Iterator[None]:
    """Around the run of a compiled net: what a user's layer raised comes out as a LayerError that names it.

    Raises NetError where no net can run, DeviceError where its device has too little memory.
    """
    forked.check()
    try:
        yield
    except BaseException as e:
        # What the first failure made others do is not told; and what came of it is not kept for a later pass.
        first = next(iter(_failed), None)
        _failed.clear()
        if isinstance(e, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(e):
            raise DeviceError(f"the device has too little memory for this net: {_line(e)} Try a smaller batch.") from e
        if first is None or not isinstance(e, (jax.errors.JaxRuntimeError, ValueError)):  # JAX makes either of it
            raise
        raise first from first.__cause__


@layer("Python")
class Python(Layer):
    """Bottoms, tops and parameters as the class `layer` of `module` says. See `caffe.Layer`.

    The module is looked for in the current folder, beside the prototxt and on PYTHONPATH. Its methods run on the host:
    a compiled net calls back. Shapes of tops may change with the bottoms' shapes, not from pass to pass, unless the
    layer has no bottoms. There is one instance in a process, so `share_in_parallel` changes nothing.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, None)
    tops: ClassVar[tuple[int, int | None]] = (0, None)
    alone = "is one Python object in a process"
    user: UserLayer

    def __new__(cls, node: Node | None = None) -> Self:
        makes_batches = node is not None and not node.config.bottom
        return super().__new__(PythonSource if makes_batches else cls)  # type: ignore[return-value]

    def setup(self, *bottoms: Shape) -> list[Shape]:
        first = not hasattr(self, "user")
        if first:
            self.user = self.instance()
        self.below = [Blob(*shape) for shape in bottoms]
        self.above = [Blob(0) for _ in self.config.top]
        with self.named():
            if first:
                self.user.setup(self.below, self.above)  # type: ignore[attr-defined]
            self.user.reshape(self.below, self.above)  # type: ignore[attr-defined]
            self.params = [
                ParamDecl(f"blob {n}", blob.shape, pb.FillerParameter(), value=blob.data.copy())
                for n, blob in enumerate(self.user.blobs)
            ]
        return [blob.shape for blob in self.above]

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
        user: UserLayer = object.__new__(made)  # as Caffe, which sets these before any code of the user's
        user.param_str, user.phase, user.blobs = p.param_str, self.phase, BlobVec()
        return user

    @contextmanager
    def named(self) -> Iterator[None]:
        """What the user's code raises becomes a LayerError that names the layer, the file and the line."""
        try:
            yield
        except (Exception, SystemExit) as e:  # sys.exit in a layer ends no run, least of all as if it were done
            raise self.error(user_errors.told(e)) from e

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return list(self.called(list(params), list(bottoms)))

    def called(self, params: list[Array], bottoms: list[Array]) -> list[Array]:
        """The tops, by the user's forward; their gradient by the user's backward."""
        tops = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in self.top_shapes]

        def run(params: list[Array], bottoms: list[Array]) -> list[Array]:
            # Without tops nobody would miss a pure call: it would be left out.
            call = jax.pure_callback if tops else jax.experimental.io_callback
            return call(self.host_forward, tops, params, bottoms)

        def forward(params: Any, bottoms: Any) -> Any:
            asked = [() if b.perturbed else None for b in bottoms]  # a tree, since it must be known while tracing
            values = [p.value for p in params], [b.value for b in bottoms]
            return run(*values), (*values, asked)

        def backward(kept: Any, diffs: Any) -> Any:
            params, bottoms, asked = kept
            diffs = [jnp.zeros(d.shape, jnp.float32) if isinstance(d, SymbolicZero) else d for d in diffs]
            like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, jnp.float32), (params, bottoms))
            down = [a is not None for a in asked]
            return jax.pure_callback(lambda *a: self.host_backward(down, *a), like, params, bottoms, diffs)

        differentiable = jax.custom_vjp(run)
        differentiable.defvjp(forward, backward, symbolic_zeros=True)
        return differentiable(params, bottoms)

    # On the host

    def host_forward(self, params: Sequence[Any], bottoms: Sequence[Any]) -> list[np.ndarray]:
        with self.kept(), self.named():
            self.fill(params, bottoms)
            self.user.reshape(self.below, self.above)  # type: ignore[attr-defined]
            self.user.forward(self.below, self.above)  # type: ignore[attr-defined]
            found = [blob.shape for blob in self.above]
            if found != self.top_shapes:
                raise ValueError(f"tops of shapes {found} where reshape had promised {self.top_shapes}")
            return [blob.data.copy() for blob in self.above]

    def host_backward(
        self, down: list[bool], params: Sequence[Any], bottoms: Sequence[Any], diffs: Sequence[Any]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Tops' data is what the last forward left, as in Caffe."""
        with self.kept(), self.named():
            self.fill(params, bottoms)
            for blob, diff in zip(self.above, diffs, strict=True):
                blob.diff[...] = diff
            for blob in (*self.below, *self.user.blobs):
                blob.diff[...] = 0
            self.user.backward(self.above, down, self.below)  # type: ignore[attr-defined]
            return [b.diff.copy() for b in self.user.blobs], [b.diff.copy() for b in self.below]

    def fill(self, params: Sequence[Any], bottoms: Sequence[Any]) -> None:
        for blob, value in zip((*self.user.blobs, *self.below), (*params, *bottoms), strict=True):
            blob.data[...] = value

    @contextmanager
    def kept(self) -> Iterator[None]:
        try:
            yield
        except LayerError as e:
            _failed.append(e)
            raise


def _found(module: str) -> bool:
    """Whether there is such a module. Imports the packages that it is in, and raises what they raise."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as e:
        if e.name is not None and f"{module}.".startswith(f"{e.name}."):
            return False
        raise


def _line(error: Exception) -> str:
    return f"{str(error).splitlines()[0].rstrip('.')}."


class PythonSource(Python, SourceLayer):
    """A Python layer without bottoms: it makes batches, of any shapes, ahead of the device like all data layers."""

    bottoms = SourceLayer.bottoms
    tops = SourceLayer.tops
    alone = SourceLayer.alone
    prefetch = 1

    def setup(self) -> list[Shape]:
        if hasattr(self, "user"):
            return self.top_shapes  # those of its last batch are known: nothing is asked of the user's code
        shapes = super().setup()
        if self.params:
            raise self.error("a Python layer without bottoms makes batches and has no parameters.")
        return shapes

    def open(self, seed: int) -> "PythonSource":
        return self

    def shapes(self) -> list[Shape]:
        return self.top_shapes

    def next(self) -> dict[str, np.ndarray]:
        with self.named():
            self.user.reshape(self.below, self.above)  # type: ignore[attr-defined]
            self.user.forward(self.below, self.above)  # type: ignore[attr-defined]
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
