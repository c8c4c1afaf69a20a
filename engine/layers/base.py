"""What every layer is: a configuration checked once in `setup`, and a pure `forward`.

A layer is written as follows:

    @layer("Power")
    class Power(Layer):
        def setup(self, x: Shape) -> list[Shape]:
            # Shapes in, shapes out: reads and checks the configuration, declares the parameters.

        def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
            # Arrays in, arrays out, using what `setup` stored: no configuration, no state, no I/O.

The net knows a layer only through the declarations below. The gradient is JAX's derivative of `forward`. Where Caffe's
gradient differs from that derivative, `forward` calls a function that defines its own.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, ClassVar, Literal, NamedTuple, Self

import jax
import numpy as np

from engine.blob import LARGEST, MOST_AXES
from engine.data.label_bounds import LabelBounds
from engine.data.source import Source
from engine.errors import LayerError, NetError
from engine.graph import counts, fits
from engine.graph.graph import Node
from engine.host import memory
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]

Array = jax.Array
Arrays = Sequence[Array]


@dataclass(frozen=True)
class ParamDecl:
    """A parameter declared by a layer: its shape, how it is filled, and whether the solver learns it.

    `learned=False` marks state such as BatchNorm's averages, which gets no gradient and no weight decay, whatever its
    ParamSpec says. `value`, if given, is the initial value and replaces what the filler would draw. `iteration` marks
    the number of the training's iteration, which the solver sets.
    """

    name: str
    shape: Shape
    filler: pb.FillerParameter
    learned: bool = True
    value: np.ndarray | None = field(default=None, compare=False)
    iteration: bool = False


@dataclass(frozen=True)
class Context:
    """What a layer may use besides its parameters and bottoms: a random key, different for each pass and each layer."""

    net_key: Array | None = None
    layer: int = 0

    @cached_property
    def key(self) -> Array:
        if self.net_key is None:
            raise NetError("this net draws random numbers: forward needs a key.")
        return jax.random.fold_in(self.net_key, self.layer)


class LogLine(NamedTuple):
    """A line of the log, and the file and line of Caffe's source that print it."""

    where: str
    message: str
    warns: bool = False


Precision = Literal["float32", "mixed", "low", "given"]
"""What a layer computes in when the net runs in low precision, such as bfloat16.

low: the low precision, which pays off for matrix products. given: the type of its bottoms, for layers that sum nothing.
float32: float32, with bottoms and parameters converted to it. mixed: float32 inside, with tops stored in the type of
the bottoms, for layers that spend their time reading and writing blobs."""


class Layer:
    """The base class of all layers: the configuration, the declarations, and small helpers for `setup`."""

    type: ClassVar[str]
    bottoms: ClassVar[counts.Bounds] = (1, 1)
    tops: ClassVar[counts.Bounds] = (1, 1)
    """The least and the greatest number allowed; None means no limit. For the types in `engine.graph.counts`, the
    numbers are taken from there."""
    no_gradient: tuple[int, ...] = ()
    """The bottoms that hold labels, indices and the like. Caffe refuses to backpropagate into them."""
    loss: ClassVar[bool] = False
    """Whether it is a loss: its first top has loss weight 1 by default, and it has a top even if the net names none."""
    copies: ClassVar[bool] = False
    """Whether its tops are unchanged copies of its bottom (Split)."""
    sink: ClassVar[bool] = False
    """Whether it passes its bottoms to the host (HDF5Output); `net.forward` returns them."""
    dynamic: ClassVar[bool] = False
    """Whether the size of its tops depends on the values of its bottoms (Filter); see `measure`."""

    host: ClassVar[bool] = False
    """Whether it computes on the host (Python, DetectionOutput), between separately compiled spans of the net."""
    judges_detections: ClassVar[bool] = False
    """Whether its top says which detections are correct, for average precision in test runs (DetectionEvaluate)."""
    single_device_reason: ClassVar[str] = ""
    """Why the layer cannot run on several devices at once, as the predicate of a sentence; empty for most layers."""

    per_channel: tuple[int, int | None] | None = None
    """Set if the layer is y = x · s (+ b) with one s and b per channel of (N, C, …): their parameter indices."""
    rectifies: bool = False
    """Whether the layer is y = max(x, 0)."""

    precision: Precision = "float32"
    setup_log: Sequence[LogLine] = ()
    """What Caffe logs when it sets this layer up, in addition to what it logs for every layer."""
    class_weights: np.ndarray | None = None
    """The weight of each class, once `weigh_classes` has set it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.config = node.config
        self.name = node.name
        self.phase = node.config.phase
        self.params: list[ParamDecl] = []
        self.recurrent_state: list[ParamDecl] = []
        self.top_shapes: list[Shape] = []

    # What a layer implements

    def setup(self, *bottoms: Shape) -> list[Shape]:
        """Reads the configuration, checks it against the bottoms' shapes, and declares the parameters.

        Stores what `forward` needs of the configuration. Returns the tops' shapes.
        """
        raise TypeError(f"{type(self).__name__} has no setup")

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        """Returns the tops. Pure: the same arguments give the same tops."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def measure(self, params: Arrays, bottoms: Arrays) -> list[Shape] | None:
        """Returns the shapes of a dynamic layer's tops, given the values of its bottoms. Called before each `forward`.

        Returns None where `forward` itself gives the tops their sizes; see `HostLayer`.
        """
        raise TypeError(f"{type(self).__name__} has no measure")

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        """Returns the tops of `forward`, and the new values of the layer's state, keyed by their index in `params`.

        `params` holds the layer's parameters, then its recurrent state. Only layers with state override this.
        """
        return self.forward(params, bottoms, ctx), {}

    def host_backward(
        self, params: Arrays, bottoms: Arrays, propagate_down: Sequence[bool], diffs: Sequence[Any]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The backward pass of a host layer, after its `forward`: the gradients of its parameters and of its bottoms.

        propagate_down: which bottoms need a gradient. diffs: the gradients of the tops; None stands for zeros.
        """
        return [np.zeros(x.shape, np.float32) for x in params], [np.zeros(x.shape, np.float32) for x in bottoms]

    def joined(self, follower: "Layer") -> "Layer | None":
        """Returns one layer that computes this layer and `follower` faster than the two do; None if there is none.

        `follower` is the only reader of this layer's single top. The joined layer has this layer's parameters, followed
        by those of `follower`.
        """
        return None

    def propagates_to(self, bottom: int) -> bool:
        """Whether `force_backward` may request the gradient of this bottom; false for labels."""
        return bottom not in self.no_gradient and not (self.loss and bottom == 1)

    def weigh_classes(self, weights: np.ndarray) -> bool:
        """Weighs each item by weights[its class] from now on. Returns false if the layer has no classes to weigh.

        Raises LayerError if the number of weights is not the number of classes.
        """
        return False

    def multiply_adds(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        """The number of multiply-adds with a weight in `forward`, for bottoms and tops of these shapes."""
        return 0

    def fitted(self, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """A model's arrays for this layer, in the sizes in which the layer keeps them; most layers take them as they
        are."""
        return arrays

    def label_bounds(self) -> dict[int, LabelBounds]:
        """Which bottoms hold class labels, and how many classes they have. Available after `setup`."""
        return {}

    # What the net calls

    def check_counts(self) -> None:
        """Raises LayerError if there are too few or too many bottoms or tops."""
        counts.fitting(self.node, self.bottoms, self.tops, len(self.config.top) or (1 if self.loss else 0))

    def build(self, bottoms: Sequence[Shape], known: Sequence[Shape | None]) -> list[Shape]:
        """Sets the layer up for bottoms of these shapes; stores and returns the shapes of its tops.

        `known` has one entry per top that the net names: its shape, where that is known already and takes precedence
        over the one from `setup` (the tops of sources and of dynamic layers), else None. Raises LayerError if the layer
        makes a different number of tops.
        """
        shapes = self.setup(*bottoms)
        fits.top_count(self.node, len(shapes), len(known))
        self.top_shapes = [tuple(int(d) for d in (s if k is None else k)) for k, s in zip(known, shapes, strict=True)]
        for n, shape in enumerate(self.top_shapes):
            self.check_size(f'its top "{self.config.top[n]}"' if n < len(self.config.top) else "its top", shape)
        return self.top_shapes

    def blank(self) -> Self:
        """Returns a copy that has not been set up. Running `setup` on it is Caffe's Reshape."""
        other = copy.copy(self)
        other.params, other.recurrent_state = [], []
        return other

    # What a layer can use

    def param(
        self, name: str, shape: Shape, filler: pb.FillerParameter, *, default: float = 0.0, learned: bool = True
    ) -> int:
        """Declares a parameter and returns its index. An empty `filler` fills it with the constant `default`."""
        if not filler.ListFields():
            filler = pb.FillerParameter(value=default)
        self.check_size(f"its {name}", shape)
        self.check_filler(filler, shape)
        self.params.append(ParamDecl(name, tuple(shape), filler, learned))
        return len(self.params) - 1

    def check_size(self, what: str, shape: Shape) -> None:
        """Raises LayerError for a shape with a negative axis, or one too large for a blob or this machine's memory."""
        if any(d < 0 for d in shape):
            raise self.error(f"{what} would have the shape {list(shape)}; no axis may be negative.")
        if len(shape) > MOST_AXES:
            raise self.error(f"{what} would have {len(shape)} axes; a blob has {MOST_AXES} at most.")
        values = prod(shape)
        size = f"{what} of shape {list(shape)} would take {4 * values:,} bytes"
        if values > LARGEST:
            raise self.error(f"{size}; a blob holds {LARGEST:,} values at most, {4 * LARGEST:,} bytes.")
        if 4 * values > memory.physical():
            raise self.error(f"{size}, and this machine has {memory.physical():,}.")

    def check_filler(self, filler: pb.FillerParameter, shape: Shape) -> None:
        """Raises LayerError for a filler that does not exist or does not fit `shape`."""
        fits.filler(self.node, filler, shape)

    def remember(self, name: str, shape: Shape) -> None:
        """Declares an array that each pass leaves for the next. It starts as zeros and is not saved in models."""
        self.check_size(f"its {name}", shape)
        self.recurrent_state.append(ParamDecl(name, shape, pb.FillerParameter(), learned=False))

    def ask_iteration(self) -> None:
        """Declares a number that `apply` is given among the recurrent state: that of the training's iteration, counted
        from 1, or 0 where no solver trains the net."""
        self.recurrent_state.append(ParamDecl("iteration", (), pb.FillerParameter(), learned=False, iteration=True))

    def canonical_axis(self, axis: int, shape: Shape, what: str = "axis") -> int:
        """Returns `axis` counted from the front; a negative `axis` counts from the end."""
        return self.node.canonical_axis(axis, shape, what)

    def error(self, message: str) -> LayerError:
        """Returns an error that gives the layer's name, its type, and where it stands in the prototxt."""
        return self.node.error(message)

    def bottom(self, index: int) -> str:
        """How messages name a bottom, as the file does: `bottom "conv1"`."""
        return self.node.bottom(index)


class SourceLayer(Layer):
    """A layer whose tops come from the host: `net.forward` takes them as inputs, by name."""

    bottoms = (0, 0)
    tops: ClassVar[counts.Bounds] = (1, None)
    reads_data: ClassVar[bool] = True
    """Whether `open` provides the data; false for Input, whose tops the caller fills."""

    def open(self, seed: int) -> Source:
        """Returns the host iterator that makes the tops."""
        raise TypeError(f"{type(self).__name__} opens nothing")


SIZED_BY_VALUES = "makes tops whose sizes depend on values"
"""Why a dynamic layer cannot run on several devices at once; see `Layer.single_device_reason`."""


class HostLayer(Layer):
    """A layer that computes on the host and has no gradient. The size of its tops depends on what it finds."""

    dynamic = True
    host = True
    single_device_reason = SIZED_BY_VALUES

    def measure(self, params: Arrays, bottoms: Arrays) -> None:
        return None

    def propagates_to(self, bottom: int) -> bool:
        return False


def along(s: Array, axis: int, ndim: int) -> Array:
    """`s` with axes of size 1 added, so that it broadcasts along axes `axis`, `axis` + 1, … of `ndim` axes."""
    return s.reshape((1,) * axis + s.shape + (1,) * (ndim - axis - s.ndim))


def rows(x: Array) -> Array:
    """x (n, …) as a matrix of n rows. Works for empty arrays too, whose row length `reshape` could not infer."""
    return x.reshape(x.shape[0], count(x.shape[1:]))


def count(shape: Sequence[int]) -> int:
    """The number of elements; 1 for no axes."""
    return prod(shape)
