"""What every source of batches is, and the pieces that several of them use."""

import reprlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any, Protocol

import numpy as np

from engine.data.transform import Transform, by
from engine.errors import DataError
from engine.host import cpu_count

Batch = dict[str, np.ndarray]
State = dict[str, Any]


class Source(Protocol):
    """An endless host iterator over batches: the tops of one source layer, by name.

    `state()` holds JSON values only. A source that was given it by `restore` goes on with the very batches that would
    have followed. One thread uses a source at a time. `prefetch`: how many batches to make ahead.
    """

    prefetch: int

    def shapes(self) -> list[tuple[int, ...]]:
        """The tops' shapes, as the first record says."""

    def next(self) -> Batch:
        """The next batch; arrays are the caller's. Raises DataError for a bad record."""

    def skip(self, batches: int) -> None:
        """To where as many calls of `next` lead; without making the batches, wherever that can be done."""

    def record(self, index: int) -> str:
        """How messages name the record at `index` of the last batch: where it lies, and its key."""

    def state(self) -> State:
        """The position behind the last batch."""

    def restore(self, state: State) -> None:
        """Goes to the position of a `state`."""

    def close(self) -> None: ...


def position(state: State, name: str) -> int:
    """A whole number of a state, which a file gave. Raises DataError for anything else."""
    value = state.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise DataError(
            f"the resume file has a position with {name} {reprlib.repr(value)}, and a whole number, 0 or more, is "
            "needed. Remove it to resume as Caffe does."
        )
    return value


def draws(seed: int, batch: int, size: int) -> np.ndarray:
    """The random numbers (size, 3) of a batch, in [0, 1): a function of the seed and the batch's number."""
    return np.random.default_rng((seed, batch)).random((size, 3))


@lru_cache(maxsize=8)
def shuffled(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order of an epoch: a permutation of 0 … size − 1. A function of the seed and of the epoch's number."""
    order = np.random.default_rng((seed, epoch, size)).permutation(size)
    order.flags.writeable = False
    return order


Picture = Callable[[], np.ndarray]
"""Reads or decodes one picture; raises DataError, whose message goes on from the record's name."""


def transformed(
    pictures: Sequence[Picture], names: Callable[[int], str], transform: Transform, u: np.ndarray
) -> np.ndarray:
    """The float32 batch (n, channels, height, width) of some pictures, `names(i)` naming the i-th in messages.

    The first picture's size counts for the whole batch, as in Caffe: one that comes out of another size is an error.
    Work is spread over threads where decoding or copying is long enough to gain by it.
    """

    def ready(index: int) -> np.ndarray:
        try:
            picture = pictures[index]()
            shape = transform.shape(picture.shape)
        except DataError as e:
            raise DataError(f"{names(index)}: {e}") from e
        if index and shape != out.shape[1:]:
            raise DataError(
                f"{names(index)}: is {by(shape)} (channels × height × width) and its batch began with "
                f"{by(out.shape[1:])}. Resize them all to one size, or set crop_size, or batch_size: 1."
            )
        return picture

    def chunk(part: range) -> None:
        some = [first if i == 0 else ready(i) for i in part]
        transform(some, u[part.start : part.stop], out[part.start : part.stop])

    first = ready(0)
    out = np.empty((len(pictures), *transform.shape(first.shape)), np.float32)
    workers = cpu_count.usable() if out[0].size >= _WORTH_A_THREAD else 1
    size = -(-len(pictures) // workers)
    parts = [range(i, min(i + size, len(pictures))) for i in range(0, len(pictures), size)]
    if len(parts) == 1:
        chunk(parts[0])
    else:
        list(_pool().map(chunk, parts))
    return out


_WORTH_A_THREAD = 10_000
"""Values of a picture from which on several threads are faster than one."""


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cpu_count.usable(), thread_name_prefix="decode")
