"""What every source of batches is, and the pieces that several of them use."""

import copy
import reprlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import lru_cache
from math import prod
from typing import Any, Protocol

import numpy as np

from engine.data.label_bounds import LabelBounds
from engine.data.pixels import WORTH, Pixels, left_to_device
from engine.data.transform import Transform, by
from engine.errors import BadRecord, DataError
from engine.host import aligned, workers

Batch = dict[str, Any]
"""The tops by name: arrays, or `Pixels` where the arithmetic is left to a device."""

State = dict[str, Any]


class Source(Protocol):
    """An endless host iterator over batches: the tops of one source layer, by name.

    `state()` holds JSON values only. A source that was given it by `restore` goes on with the very batches that would
    have followed. One thread uses a source at a time. `prefetch`: how many batches to make ahead;
    None: each is made when it is asked for, by whoever asks.
    """

    @property
    def prefetch(self) -> int | None: ...

    def shapes(self) -> list[tuple[int, ...]]:
        """The tops' shapes, as the first record says."""

    def next(self) -> Batch:
        """The next batch; arrays are the caller's. Raises BadRecord, and DataError where there is more to it."""

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


def check_labels(batch: Batch, bounds: Mapping[str, Sequence[LabelBounds]], record: Callable[[int], str]) -> None:
    """Raises BadRecord for a label that the net has no class for; `record` names that of an index."""
    for top in batch.keys() & bounds.keys():
        flat = batch[top].reshape(len(batch[top]), prod(batch[top].shape[1:]))
        for each in bounds[top]:
            bad = each.outside(flat)
            if bad.any():
                index, place = np.argwhere(bad)[0]
                raise BadRecord(f"{record(int(index))}: {each.complaint(float(flat[index, place]), top, bounds[top])}")


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
    pictures: Sequence[Picture] | np.ndarray,
    names: Callable[[int], str],
    transform: Transform,
    u: np.ndarray,
    threads: int | None = None,
) -> np.ndarray | Pixels:
    """The float32 batch (n, channels, height, width) of some pictures, or what is left to a device to make it of.

    `names(i)` names the i-th in messages.

    `pictures`: what reads each; or all of them, (n, channels, height, width), already read. The first one's size counts
    for the whole batch, as in Caffe: one that comes out of another size is an error. `threads`: how many may work at
    it; without it, one a core.
    """
    try:
        if isinstance(pictures, np.ndarray):
            batch = _all_transformed(pictures, names, transform, u, threads)
        else:
            batch = _each_transformed(pictures, names, transform, u, threads)
    except _Mixed:
        on_host = copy.copy(transform)
        on_host.on_device = False
        return transformed(pictures, names, on_host, u, threads)
    return left_to_device(batch, transform, u) if batch.dtype == np.uint8 else batch


class _Mixed(Exception):
    """A batch of bytes has a picture of floats in it."""


def _room(count: int, shape: tuple[int, ...], transform: Transform, first: np.ndarray) -> np.ndarray:
    """An empty batch of pictures of that shape, of which `first` is the first before it is transformed."""
    if transform.stored(first) == np.uint8 and count * prod(shape) >= WORTH:
        return np.empty((count, *shape), np.uint8)
    return aligned.empty((count, *shape))


def _each_transformed(
    pictures: Sequence[Picture], names: Callable[[int], str], transform: Transform, u: np.ndarray, threads: int | None
) -> np.ndarray:
    made: Future[np.ndarray] = Future()  # who has the first picture knows how large the batch is; the others wait

    def work(index: int) -> None:
        try:
            picture = pictures[index]()
            shape = transform.shape(picture.shape)
            if not index:
                made.set_result(_room(len(pictures), shape, transform, picture))
        except BaseException as e:
            error = BadRecord(f"{names(index)}: {e}") if isinstance(e, DataError) else e
            if not index:
                made.set_exception(error)
            raise error from e
        batch = made.result()
        if shape != batch.shape[1:]:
            raise BadRecord(
                f"{names(index)}: is {by(shape)} (channels × height × width) and its batch began with "
                f"{by(batch.shape[1:])}. Resize them all to one size, or set crop_size, or batch_size: 1."
            )
        if batch.dtype == np.uint8 and picture.dtype != np.uint8:
            raise _Mixed
        transform([picture], u[index : index + 1], batch[index : index + 1])  # at once: it is in the cache yet

    workers.share(work, len(pictures), threads)
    return made.result()


def _all_transformed(
    pictures: np.ndarray, names: Callable[[int], str], transform: Transform, u: np.ndarray, threads: int | None
) -> np.ndarray:
    try:
        batch = _room(len(pictures), transform.shape(pictures.shape[1:]), transform, pictures)
    except DataError as e:
        raise BadRecord(f"{names(0)}: {e}") from e
    size = max(1, _PIECE // pictures[0].size)

    def work(number: int) -> None:
        some = slice(number * size, (number + 1) * size)
        transform(pictures[some], u[some], batch[some])

    workers.share(work, -(-len(pictures) // size), threads)
    return batch


_PIECE = 1 << 18
"""Values that a thread transforms in one go."""
