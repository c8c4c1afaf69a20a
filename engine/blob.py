"""Caffe's blob, as its Python users know it: `data` and `diff` as numpy arrays that are read and written in place."""

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from operator import index
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import forked
from engine.errors import NetError

Shape = tuple[int, ...]

LARGEST = 2**31 - 1
"""Values that a blob may have, as in Caffe."""

MOST_AXES = 32
"""Axes that a blob may have, as in Caffe."""


class Uncopied:
    """What neither copy nor pickle takes, as in Caffe: a copy would be another view of the same values."""

    def __reduce_ex__(self, protocol: object) -> Any:
        raise NetError(
            f"a {type(self).__name__} cannot be copied or pickled: copy arrays, blob.data.copy(), or save the net's "
            "parameters, net.save(FILE)."
        )


class Memory:
    """The values of a blob, float32: on the host while someone holds them as a numpy array, on the device once they
    are used there.

    An array that was handed out stays true for as long as its holder keeps it or a view of it: what is computed is
    copied into it, and what is written into it is what the next pass reads. As in Caffe, fewer values than before
    leave the memory as large as it is, and more take new memory once it is too small.
    """

    def __init__(self, count: int, fill: float = 0.0) -> None:
        self._count = count
        # Zeros take no memory until they are written: of a net's many gradients few ever are.
        self._host: np.ndarray | None = np.full(count, fill, np.float32) if fill else np.zeros(count, np.float32)
        self._device: jax.Array | None = None
        self._lent: weakref.ref[np.ndarray] | None = None
        self._pending: Callable[[], None] | None = None

    @property
    def host(self) -> np.ndarray:
        """The values in one row, to be read and written."""
        self._settle()
        held = self._holder()
        if held is None:
            # Views of an array keep alive the array over the memory, not its owner: this one lives while anyone can
            # write.
            held = np.asarray(self._on_host().data)
            self._lent = weakref.ref(held)
        return held[: self._count]

    @property
    def on_host(self) -> bool:
        return self._host is not None

    def array(self, shape: Shape) -> jax.Array:
        """The values for a compiled function. Raises NetError where none can run."""
        forked.check()
        self._settle()
        if self._device is not None and self._device.size == self._count:
            return _shaped(self._device, shape)
        held = self._holder()
        row = self._on_host() if held is None else held
        # A copy: XLA may share numpy's memory, and its holder may write at any time.
        value = jnp.array(row[: self._count].reshape(shape))
        if held is None:
            self._host, self._device = None, value
        return value

    def put(self, value: jax.Array) -> None:
        """Takes a computed array of the same count."""
        self._pending = None
        held = self._holder()
        if held is None:
            self._host, self._device = None, value
        else:
            held[: self._count] = np.asarray(value).reshape(-1)

    def defer(self, fill: Callable[[], None]) -> None:
        """Has `fill`, which puts the values here, called before they are read next: at once where they are held."""
        self._pending = fill
        if self._holder() is not None:
            self._settle()

    def resize(self, count: int) -> None:
        """Another number of values: the first of those that there are, or zeros where they are more than ever.

        What was put off is put off for good: it is of the old number.
        """
        if count == self._count:
            return
        self._pending = None
        there = self._host if self._device is None else self._device
        if there is None or count > there.size:
            self._host, self._device, self._lent = np.zeros(count, np.float32), None, None
        self._count = count

    def _on_host(self) -> np.ndarray:
        if self._host is None:
            self._host, self._device = np.array(self._device, np.float32).reshape(-1), None
        return self._host

    def _settle(self) -> None:
        if self._pending is not None:
            fill, self._pending = self._pending, None
            fill()

    def _holder(self) -> np.ndarray | None:
        return self._lent() if self._lent else None


@dataclass(slots=True)
class Memories:
    """What blobs have that are one parameter in several shapes."""

    data: Memory
    diff: Memory


class Blob(Uncopied):
    """`data` and `diff`, float32 arrays of one shape."""

    def __init__(self, *shape: int, fill_diff: float = 0.0) -> None:
        self._shape = _checked(shape)
        self._memories = Memories(Memory(self.count), Memory(self.count, fill_diff))

    @property
    def data(self) -> np.ndarray:
        """The values: a view to read and to write in place."""
        return self._own().host.reshape(self._shape)

    @property
    def diff(self) -> np.ndarray:
        """The gradient: a view to read and to write in place."""
        return self._memories.diff.host.reshape(self._shape)

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def on_host(self) -> bool:
        """Whether `data` may have been written since it was computed."""
        return self._memories.data.on_host

    @property
    def count(self) -> int:
        return prod(self._shape)

    def reshape(self, *shape: int) -> None:
        """Gives it another shape. The first values stay; where there are more than ever, all are zero.

        Raises NetError for a negative size and for more values than a blob holds, TypeError for a size that is no
        integer.
        """
        sizes = _checked(shape)
        if sizes != self._shape:
            self._shape = sizes
            self._memories.data.resize(self.count)
            self._memories.diff.resize(self.count)

    def viewed(self, shape: Shape) -> "Blob":
        """This blob, or where `shape` is another of the same count, one on the same memory."""
        if shape == self._shape:
            return self
        other = Blob.__new__(Blob)
        other._shape, other._memories = shape, self._memories
        return other

    def share_data(self, other: "Blob") -> None:
        """Uses the values of `other` from now on; the gradient stays its own."""
        self._memories.data = other._memories.data

    def _own(self) -> Memory:
        """The memory of `data`, of as many values as this blob has: one that shares it may have another size by now."""
        memory = self._memories.data
        memory.resize(self.count)
        return memory

    def share(self, other: "Blob") -> None:
        """Uses the values and the gradient of `other` from now on. Raises NetError where it has another shape."""
        if other.shape != self._shape:
            raise NetError(f"this parameter has shape {list(self._shape)}; a blob of {list(other.shape)} is no such.")
        self._memories.data, self._memories.diff = other._memories.data, other._memories.diff

    # The four axes of Caffe's first blobs; those that are not there have size 1.

    @property
    def num(self) -> int:
        return self._legacy(0)

    @property
    def channels(self) -> int:
        return self._legacy(1)

    @property
    def height(self) -> int:
        return self._legacy(2)

    @property
    def width(self) -> int:
        return self._legacy(3)

    def _legacy(self, axis: int) -> int:
        if len(self._shape) > 4:
            raise NetError(f"a blob of shape {list(self._shape)} has no num, channels, height and width; use shape.")
        return self._shape[axis] if axis < len(self._shape) else 1

    # What computes with it

    def value(self) -> jax.Array:
        """`data` for a compiled function."""
        return self._own().array(self._shape)

    def gradient(self) -> jax.Array:
        """`diff` for a compiled function."""
        return self._memories.diff.array(self._shape)

    def put(self, value: jax.Array) -> None:
        """Takes computed values, and their shape."""
        self.reshape(*value.shape)
        self._own().put(value)

    def put_gradient(self, value: jax.Array) -> None:
        """Takes a computed gradient, of the values' shape."""
        self._memories.diff.put(value)

    def defer_gradient(self, fill: Callable[[], None]) -> None:
        """Has `fill` called before `diff` is read next; it puts the gradient."""
        self._memories.diff.defer(fill)


class BlobVec(list[Blob]):
    """The parameters of a layer. A Python layer adds its own in `setup`."""

    def __init__(self, blobs: Iterable[Blob] = ()) -> None:
        super().__init__(blobs)

    def __setitem__(self, at: Any, blob: Any) -> None:
        """Has the layer use another blob as its parameter; as in Caffe, a change in one shows in both.

        Raises NetError where it has another shape, TypeError where it is no blob.
        """
        if isinstance(at, slice):
            super().__setitem__(at, blob)
        elif isinstance(blob, Blob):
            self[at].share(blob)
        else:
            raise TypeError(
                f"a parameter is a blob, and this is {type(blob).__name__}: write params[NAME][{at}].data[...] = …"
            )

    def add_blob(self, *shape: int) -> None:
        """Adds a parameter of this shape, of zeros."""
        self.append(Blob(*shape))


def _shaped(value: jax.Array, shape: Shape) -> jax.Array:
    return value if value.shape == shape else value.reshape(shape)


def _checked(shape: Sequence[Any]) -> Shape:
    """The sizes of a blob. Raises as `Blob.reshape`."""
    sizes = tuple(_size(d) for d in shape)
    if any(d < 0 for d in sizes):
        raise NetError(f"a blob cannot have shape {list(sizes)}; give sizes of 0 or more.")
    if len(sizes) > MOST_AXES:
        raise NetError(f"a blob cannot have {len(sizes)} axes; it has {MOST_AXES} at most.")
    if prod(sizes) > LARGEST:
        raise NetError(f"a blob cannot have shape {list(sizes)}; it holds {LARGEST:,} values at most.")
    return sizes


def _size(size: Any) -> int:
    """An axis's size. Python 3's `/` makes a float of what was an integer in Python 2: a whole one will do."""
    if isinstance(size, float) and size.is_integer():
        return int(size)
    try:
        return index(size)
    except TypeError:
        raise TypeError(
            f"a blob's sizes are integers, one each argument, and this is {size!r}: reshape(*sizes), and // divides."
        ) from None
