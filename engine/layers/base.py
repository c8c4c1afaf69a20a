"""What every layer is: a configuration checked once in `setup`, and a pure `forward`.

A layer is written as

    @layer("Power")
    class Power(Layer):
        def setup(self, x: Shape) -> list[Shape]:
            # Shapes in, shapes out: reads the configuration, checks it, declares parameters.

        def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
            # Arrays in, arrays out, from what `setup` kept: no configuration, no state, no I/O.

and is known to the net only through what this class declares. The gradient is JAX's derivative of `forward`; a layer
whose gradient in Caffe is another one says so in `forward`, by a function with its own derivative.
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
    """A parameter that a layer declared: `shape`, how it is filled, and whether the solver learns it.

    `learned=False` marks state (BatchNorm's averages): never given a gradient or a decay, whatever its ParamSpec says.
    `value`, where a layer has one, stands instead of what the filler would draw.
    """

    name: str
    shape: Shape
    filler: pb.FillerParameter
    learned: bool = True
    value: np.ndarray | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Context:
    """What a layer may use besides its parameters and bottoms: a random key, its own for every pass and every layer."""

    net_key: Array | None = None
    layer: int = 0

    @cached_property
    def key(self) -> Array:
        if self.net_key is None:
            raise NetError("this net draws random numbers: forward needs a key.")
        return jax.random.fold_in(self.net_key, self.layer)


class LogLine(NamedTuple):
    """A line of the log, and the place in Caffe's source that says it."""

    where: str
    message: str
    warns: bool = False


Precision = Literal["float32", "mixed", "low", "given"]
"""What a net of low precision has a layer compute in: the low one, which pays for products of matrices; whatever its
bottoms come in, where no sum is made; else float32, its bottoms and parameters being converted. Mixed: in float32, its
tops being stored in what its bottoms come in, where the time goes into reading and writing blobs."""


class Layer:
    """The base of all layers: configuration, declarations and the small tools that `setup` needs."""

    type: ClassVar[str]
    bottoms: ClassVar[counts.Bounds] = (1, 1)
    tops: ClassVar[counts.Bounds] = (1, 1)
    """Least and most; None: any number. Caffe's own types are given those of `engine.graph.counts`."""
    no_gradient: tuple[int, ...] = ()
    """The bottoms that hold labels, indices and the like: Caffe refuses to train what is made from parameters there."""
    loss: ClassVar[bool] = False
    """Its first top has loss weight 1 unless told otherwise, and a top of its own where the net names none."""
    copies: ClassVar[bool] = False
    """Its tops are its bottom, unchanged (Split)."""
    sink: ClassVar[bool] = False
    """It hands its bottoms to the host (HDF5Output): `net.forward` returns them."""
    dynamic: ClassVar[bool] = False
    """How large its tops are depends on its bottoms' values (Filter): `measure` tells before each pass."""

    host: ClassVar[bool] = False
    """It computes on the host (Python, DetectionOutput): what is compiled ends before it and begins anew behind it."""
    judges: ClassVar[bool] = False
    """Its top says which detections are right, of which tests make average precisions (DetectionEvaluate)."""
    alone: ClassVar[str] = ""
    """What it does that cannot be done on several devices at a time; nothing, mostly."""

    per_channel: tuple[int, int | None] | None = None
    """It is y = x · s (+ b), each channel of (N, C, …) by its own: s and b by their index among its parameters."""
    rectifies: bool = False
    """It is y = max(x, 0)."""

    precision: Precision = "float32"
    said: Sequence[LogLine] = ()
    """What Caffe logs of it as it is set up, besides what it does of every layer."""
    class_weights: np.ndarray | None = None
    """How much the items of each class count, where `weigh_classes` has said so."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.config = node.config
        self.name = node.name
        self.phase = node.config.phase
        self.params: list[ParamDecl] = []
        self.recurrent_state: list[ParamDecl] = []
        self.top_shapes: list[Shape] = []

    # What a layer writes

    def setup(self, *bottoms: Shape) -> list[Shape]:
        """Reads the configuration, checks it against the bottoms' shapes, declares the parameters.

        Returns the tops' shapes. What `forward` needs of the configuration is kept here.
        """
        raise TypeError(f"{type(self).__name__} has no setup")

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        """The tops. Pure: same arguments, same tops."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def measure(self, params: Arrays, bottoms: Arrays) -> list[Shape] | None:
        """The shapes of a dynamic layer's tops for these bottoms, whose values are known; before each `forward`.

        None where the tops themselves are of the sizes that come of it; see `HostLayer`.
        """
        raise TypeError(f"{type(self).__name__} has no measure")

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        """`forward`, and new values of the layer's state by index in `params`. Only layers with state override it.

        `params`: the layer's parameters, then its recurrent state.
        """
        return self.forward(params, bottoms, ctx), {}

    def pulled(
        self, params: Arrays, bottoms: Arrays, asked: Sequence[bool], diffs: Sequence[Any]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of a layer of the host after its `forward`: gradients of the parameters and of the bottoms.

        asked: of which bottoms they are. diffs: those of its tops, None for zeros.
        """
        return [np.zeros(x.shape, np.float32) for x in params], [np.zeros(x.shape, np.float32) for x in bottoms]

    def joined(self, follower: "Layer") -> "Layer | None":
        """A layer that computes this one and `follower` faster than they do; None where there is none.

        `follower` alone reads the one top. The parameters are this one's, then those of `follower`.
        """
        return None

    def propagates_to(self, bottom: int) -> bool:
        """Whether `force_backward` may ask for this bottom's gradient; false for labels."""
        return bottom not in self.no_gradient and not (self.loss and bottom == 1)

    def weigh_classes(self, weights: np.ndarray) -> bool:
        """From now on an item counts as much as weights[its class]; false where the layer has nothing to weigh.

        Raises LayerError for another number of classes.
        """
        return False

    def multiply_adds(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        """How many products of a weight and a number `forward` adds up, for bottoms and tops of these shapes."""
        return 0

    def label_bounds(self) -> dict[int, LabelBounds]:
        """Which bottoms hold class labels, and how many classes there are. Known after `setup`."""
        return {}

    # What the net calls

    def check_counts(self) -> None:
        """Raises LayerError where there are too few or too many bottoms or tops."""
        counts.fitting(self.node, self.bottoms, self.tops, len(self.config.top) or (1 if self.loss else 0))

    def build(self, bottoms: Sequence[Shape], told: Sequence[Shape | None]) -> list[Shape]:
        """Sets the layer up for bottoms of these shapes, keeps its tops' shapes and returns them.

        `told`: one entry a top that the net names, with its shape where that is known better than by `setup` (the tops
        of sources and of dynamic layers). Raises LayerError where the layer makes another number of tops.
        """
        made = self.setup(*bottoms)
        fits.made(self.node, len(made), len(told))
        self.top_shapes = [tuple(int(d) for d in (s if t is None else t)) for t, s in zip(told, made, strict=True)]
        for n, shape in enumerate(self.top_shapes):
            self.check_size(f'its top "{self.config.top[n]}"' if n < len(self.config.top) else "its top", shape)
        return self.top_shapes

    def blank(self) -> Self:
        """A copy that is not set up yet: `setup` again is Caffe's Reshape."""
        other = copy.copy(self)
        other.params, other.recurrent_state = [], []
        return other

    # What a layer uses

    def param(
        self, name: str, shape: Shape, filler: pb.FillerParameter, *, default: float = 0.0, learned: bool = True
    ) -> int:
        """Declares a parameter and returns its index. An empty `filler` means the constant `default`."""
        if not filler.ListFields():
            filler = pb.FillerParameter(value=default)
        self.check_size(f"its {name}", shape)
        self.check_filler(filler, shape)
        self.params.append(ParamDecl(name, tuple(shape), filler, learned))
        return len(self.params) - 1

    def check_size(self, what: str, shape: Shape) -> None:
        """Raises LayerError for a shape with a negative axis, and for one that no blob can have or memory hold."""
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
        """Raises LayerError for a filler that is not there or does not fit `shape`."""
        fits.filler(self.node, filler, shape)

    def remember(self, name: str, shape: Shape) -> None:
        """Declares an array that one pass leaves for the next, zeros at first; it is in no model."""
        self.check_size(f"its {name}", shape)
        self.recurrent_state.append(ParamDecl(name, shape, pb.FillerParameter(), learned=False))

    def canonical_axis(self, axis: int, shape: Shape, what: str = "axis") -> int:
        """`axis` counted from the front; negative ones count from the end."""
        return self.node.canonical_axis(axis, shape, what)

    def error(self, message: str) -> LayerError:
        """An error that says where the layer was written, its name and its type."""
        return self.node.error(message)

    def bottom(self, index: int) -> str:
        """How messages name a bottom: `bottom "conv1"`, as in the file."""
        return self.node.bottom(index)


class SourceLayer(Layer):
    """A layer whose tops come from the host: `net.forward` takes them as inputs by their names."""

    bottoms = (0, 0)
    tops: ClassVar[counts.Bounds] = (1, None)
    reads_data: ClassVar[bool] = True
    """Whether `open` gives the data; false for Input, whose tops the caller fills."""

    def open(self, seed: int) -> Source:
        """The host iterator that makes the tops."""
        raise TypeError(f"{type(self).__name__} opens nothing")


SIZED_BY_VALUES = "makes tops whose sizes depend on values"
"""What a dynamic layer does that cannot be done on several devices at a time."""


class HostLayer(Layer):
    """A layer that computes on the host, makes tops as large as what it finds in its bottoms, and has no gradient."""

    dynamic = True
    host = True
    alone = SIZED_BY_VALUES

    def measure(self, params: Arrays, bottoms: Arrays) -> None:
        return None

    def propagates_to(self, bottom: int) -> bool:
        return False


def along(s: Array, axis: int, ndim: int) -> Array:
    """`s` with axes of size 1 added, so that it lies along axes `axis`, `axis` + 1, … of an array of `ndim` axes."""
    return s.reshape((1,) * axis + s.shape + (1,) * (ndim - axis - s.ndim))


def rows(x: Array) -> Array:
    """x (n, …) as a matrix of n rows; of empty ones, too, whose length `reshape` could not tell."""
    return x.reshape(x.shape[0], count(x.shape[1:]))


def count(shape: Sequence[int]) -> int:
    """The number of elements; 1 for no axes."""
    return prod(shape)
