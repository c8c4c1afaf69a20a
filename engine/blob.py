"""Caffe's blob, as its Python users know it: `data` and `diff`, numpy arrays that are read and written in place."""

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
"""The most values that a blob may have, as in Caffe."""

MOST_AXES = 32
"""The most axes that a blob may have, as in Caffe."""


class Uncopied:
    """A base class that refuses copy and pickle, as in Caffe: a copy would be another view of the same values."""

    def __reduce_ex__(self, protocol: object) -> Any:
        raise NetError(
            f"a {type(self).__name__} cannot be copied or pickled: copy its arrays, as blob.data.copy(), or save the "
            "net's parameters with net.save(FILE)."
        )


class Memory:
    """The float32 values of a blob: on the host while someone holds them as a numpy array, on the device once they are
    used there.

    An array that was handed out stays valid for as long as its holder keeps it or a view of it: computed values are
    copied into it, and the next pass reads what was written into it. As in Caffe, shrinking keeps the memory, and
    growing allocates new memory only when the old is too small.
    """

    def __init__(self, count: int, fill: float = 0.0) -> None:
        self._count = count
        # np.zeros takes no memory until it is written, and few of a net's many gradients ever are.
        self._host: np.ndarray | None = np.full(count, fill, np.float32) if fill else np.zeros(count, np.float32)
        self._device: jax.Array | None = None
        self._lent: weakref.ref[np.ndarray] | None = None
        self._pending: Callable[[], None] | None = None

    @property
    def host(self) -> np.ndarray:
        """The values as a one-dimensional array, to be read and written in place."""
        self._settle()
        held = self._holder()
        if held is None:
            # Views of an array keep alive the array directly over the memory, not the owner of the memory: this array
            # therefore lives for as long as anyone can write.
            held = np.asarray(self._on_host().data)
            self._lent = weakref.ref(held)
        return held[: self._count]

    @property
    def on_host(self) -> bool:
        return self._host is not None

    def array(self, shape: Shape) -> jax.Array:
        """The values for a compiled function. Raises NetError in a process where none can run."""
        forked.check()
        self._settle()
        if self._device is not None and self._device.size == self._count:
            return _shaped(self._device, shape)
        held = self._holder()
        row = self._on_host() if held is None else held
        # A copy, since XLA may share numpy's memory, whose holder may write at any time.
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
        """Puts off computing the values: `fill`, which puts them here, is called before they are read next.

        It is called at once if someone holds them as an array.
        """
        self._pending = fill
        if self._holder() is not None:
            self._settle()

    def resize(self, count: int) -> None:
        """Changes the number of values. The first ones are kept; if there are more than ever before, all become zero.

        A deferred computation is dropped: it is for the old number of values.
        """
        if count == self._count:
            return
        self._pending = None
        current = self._host if self._device is None else self._device
        if current is None or count > current.size:
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
    """The memories that all blobs share that are one parameter in several shapes."""

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
        """Changes the shape. The first values are kept; if there are more than ever before, all become zero.

        Raises NetError for a negative size and for more values or axes than a blob may have, TypeError for a size that
        is not an integer.
        """
        sizes = _checked(shape)
        if sizes != self._shape:
            self._shape = sizes
            self._memories.data.resize(self.count)
            self._memories.diff.resize(self.count)

    def viewed(self, shape: Shape) -> "Blob":
        """This blob itself if it has `shape`; otherwise a blob of that shape, of the same count, on the same memory."""
        if shape == self._shape:
            return self
        other = Blob.__new__(Blob)
        other._shape, other._memories = shape, self._memories
        return other

    def share_data(self, other: "Blob") -> None:
        """Uses the values of `other` from now on; the gradient remains this blob's own."""
        self._memories.data = other._memories.data

    def _own(self) -> Memory:
        """The memory of `data`, resized to this blob's count: a blob that shares it may have changed its size."""
        memory = self._memories.data
        memory.resize(self.count)
        return memory

    def share(self, other: "Blob") -> None:
        """Uses the values and the gradient of `other` from now on. Raises NetError if it has another shape."""
        if other.shape != self._shape:
            raise NetError(
                f"this parameter has shape {list(self._shape)}; a blob of shape {list(other.shape)} cannot replace it."
            )
        self._memories.data, self._memories.diff = other._memories.data, other._memories.diff

    # The four axes of Caffe's first blobs; axes that a blob does not have count as size 1.

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

    # For the code that computes with it

    def value(self) -> jax.Array:
        """`data` for a compiled function."""
        return self._own().array(self._shape)

    def gradient(self) -> jax.Array:
        """`diff` for a compiled function."""
        return self._memories.diff.array(self._shape)

    def put(self, value: jax.Array) -> None:
        """Takes computed values and adopts their shape."""
        self.reshape(*value.shape)
        self._own().put(value)

    def put_gradient(self, value: jax.Array) -> None:
        """Takes a computed gradient of the same shape as the values."""
        self._memories.diff.put(value)

    def defer_gradient(self, fill: Callable[[], None]) -> None:
        """Puts off computing the gradient: `fill`, which puts it, is called before `diff` is read next."""
        self._memories.diff.defer(fill)


class BlobVec(list[Blob]):
    """The parameters of a layer. A Python layer adds its own in `setup`."""

    def __init__(self, blobs: Iterable[Blob] = ()) -> None:
        super().__init__(blobs)

    def __setitem__(self, at: Any, blob: Any) -> None:
        """Makes the layer use another blob as its parameter; as in Caffe, a change in one shows in both.

        Raises NetError for a blob of another shape, TypeError for anything that is not a blob.
        """
        if isinstance(at, slice):
            super().__setitem__(at, blob)
        elif isinstance(blob, Blob):
            self[at].share(blob)
        else:
            raise TypeError(
                f"a parameter is a blob, and this is a {type(blob).__name__}: write params[NAME][{at}].data[...] = …"
            )

    def add_blob(self, *shape: int) -> None:
        """Adds a parameter of this shape, filled with zeros."""
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
    """The size of an axis. A whole float is taken too: Python 3's `/` makes one where Python 2's made an integer."""
    if isinstance(size, float) and size.is_integer():
        return int(size)
    try:
        return index(size)
    except TypeError:
        raise TypeError(
            f"a blob's sizes are integers, one per argument, and {size!r} is not one: pass them as reshape(*sizes), "
            "and divide with //."
        ) from None
