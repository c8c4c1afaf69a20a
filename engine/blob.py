"""Caffe's blob, as its Python users know it: `data` and `diff` as numpy arrays that are read and written in place."""

import weakref
from collections.abc import Callable, Iterable
from math import prod

import jax
import jax.numpy as jnp
import numpy as np

from engine import forked
from engine.errors import NetError

Shape = tuple[int, ...]


class Memory:
    """One array, float32: on the host while someone holds it as a numpy array, on the device once it is used there.

    An array that was handed out stays true for as long as its holder keeps it or a view of it: what is computed is
    copied into it, and what is written into it is what the next pass reads.
    """

    def __init__(self, shape: Shape, fill: float = 0.0) -> None:
        self._host: np.ndarray | None = np.full(shape, fill, np.float32)
        self._device: jax.Array | None = None
        self._lent: weakref.ref[np.ndarray] | None = None
        self._pending: Callable[[], None] | None = None

    @property
    def host(self) -> np.ndarray:
        """The array itself, C-contiguous, to be read and written."""
        self._settle()
        held = self._holder()
        if held is not None:
            return held
        if self._host is None:
            self._host, self._device = np.array(self._device, np.float32, order="C"), None
        # Views of an array keep alive the array over the memory, not its owner: this one lives while anyone can write.
        lent = np.asarray(self._host.data)
        self._lent = weakref.ref(lent)
        return lent

    def array(self) -> jax.Array:
        """The values for a compiled function. Raises NetError where none can run."""
        forked.check()
        self._settle()
        if self._device is not None:
            return self._device
        value = jnp.array(self._host)  # a copy: XLA may share numpy's memory, and its holder may write at any time
        if self._holder() is None:
            self._host, self._device = None, value
        return value

    def put(self, value: jax.Array) -> None:
        """Takes a computed array of the same count."""
        self._pending = None
        held = self._holder()
        if held is None:
            self._host, self._device = None, value
        else:
            held[...] = np.asarray(value).reshape(held.shape)

    def defer(self, fill: Callable[[], None]) -> None:
        """Has `fill`, which puts the values here, called before they are read next: at once where they are held."""
        self._pending = fill
        if self._holder() is not None:
            self._settle()

    def _settle(self) -> None:
        if self._pending is not None:
            fill, self._pending = self._pending, None
            fill()

    def reshape(self, shape: Shape) -> None:
        """Another shape: of the same values where the count stays, of zeros where it changes."""
        self._settle()
        held = self._host if self._device is None else self._device
        same = held is not None and prod(shape) == held.size
        self._host = self.host.reshape(shape) if same else np.zeros(shape, np.float32)
        self._device = self._lent = None

    def _holder(self) -> np.ndarray | None:
        return self._lent() if self._lent else None


class Blob:
    """`data` and `diff`, float32 arrays of one shape."""

    def __init__(self, *shape: int, fill_diff: float = 0.0) -> None:
        self._shape = shape
        self._data = Memory(shape)
        self._diff = Memory(shape, fill_diff)

    @property
    def data(self) -> np.ndarray:
        """The values: a view to read and to write in place."""
        return self._data.host.reshape(self._shape)

    @property
    def diff(self) -> np.ndarray:
        """The gradient: a view to read and to write in place."""
        return self._diff.host.reshape(self._shape)

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def count(self) -> int:
        return prod(self._shape)

    def reshape(self, *shape: int) -> None:
        """Gives it another shape. Values stay where the count does, and are zero where it changes."""
        if any(d < 0 for d in shape):
            raise NetError(f"a blob cannot have shape {list(shape)}; give sizes of 0 or more.")
        if shape != self._shape:
            self._shape = tuple(int(d) for d in shape)
            self._data.reshape(self._shape)
            self._diff.reshape(self._shape)

    def viewed(self, shape: Shape) -> "Blob":
        """This blob, or where `shape` is another of the same count, one on the same memory."""
        if shape == self._shape:
            return self
        other = Blob(*shape)
        other._data, other._diff = self._data, self._diff
        return other

    def share_data(self, other: "Blob") -> None:
        """Uses the values of `other`, which has as many, from now on; the gradient stays its own."""
        self._data = other._data

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
        return _shaped(self._data.array(), self._shape)

    def gradient(self) -> jax.Array:
        """`diff` for a compiled function."""
        return _shaped(self._diff.array(), self._shape)

    def put(self, value: jax.Array) -> None:
        """Takes computed values, and their shape."""
        self.reshape(*value.shape)
        self._data.put(value)

    def put_gradient(self, value: jax.Array) -> None:
        """Takes a computed gradient, of the values' shape."""
        self._diff.put(value)

    def defer_gradient(self, fill: Callable[[], None]) -> None:
        """Has `fill` called before `diff` is read next; it puts the gradient."""
        self._diff.defer(fill)


class BlobVec(list[Blob]):
    """The parameters of a layer. A Python layer adds its own in `setup`."""

    def __init__(self, blobs: Iterable[Blob] = ()) -> None:
        super().__init__(blobs)

    def add_blob(self, *shape: int) -> None:
        """Adds a parameter of this shape, of zeros."""
        self.append(Blob(*shape))


def _shaped(value: jax.Array, shape: Shape) -> jax.Array:
    return value if value.shape == shape else value.reshape(shape)
