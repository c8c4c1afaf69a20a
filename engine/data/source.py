"""The interface of every source of batches, and the parts that several sources share."""

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
"""The tops by name: arrays, or `Pixels` if the arithmetic is left to the device."""

State = dict[str, Any]


class Source(Protocol):
    """An endless iterator over batches on the host: the tops of one source layer, by name.

    `state()` holds JSON values only; after `restore` with it, a source produces exactly the batches that would have
    followed. One thread uses a source at a time. `prefetch`: how many batches to make ahead; None: each batch is made
    when it is requested, by the thread that requests it.
    """

    @property
    def prefetch(self) -> int | None: ...

    def shapes(self) -> list[tuple[int, ...]]:
        """The tops' shapes, as determined by the first record."""

    def next(self) -> Batch:
        """The next batch, whose arrays the caller owns.

        Raises BadRecord for a single record that cannot be used, DataError for anything worse.
        """

    def skip(self, batches: int) -> None:
        """Advances by as many calls of `next`, without making the batches wherever that is possible."""

    def record(self, index: int) -> str:
        """The name, in messages, of the record at `index` in the last batch: its location and its key."""

    def state(self) -> State:
        """The position after the last batch."""

    def restore(self, state: State) -> None:
        """Moves to the position that `state` returned."""

    def close(self) -> None: ...


def position(state: State, name: str) -> int:
    """A whole number, 0 or more, from a state that was read from a file. Raises DataError for anything else."""
    value = state.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise DataError(
            f"the resume file has a position whose {name} is {reprlib.repr(value)}; a whole number, 0 or more, is "
            "needed. Remove the file to resume as Caffe does."
        )
    return value


def check_labels(batch: Batch, bounds: Mapping[str, Sequence[LabelBounds]], record: Callable[[int], str]) -> None:
    """Raises BadRecord for a label that the net has no class for; `record` names the record at an index."""
    for top in batch.keys() & bounds.keys():
        flat = batch[top].reshape(len(batch[top]), prod(batch[top].shape[1:]))
        for each in bounds[top]:
            bad = each.outside(flat)
            if bad.any():
                index, place = np.argwhere(bad)[0]
                raise BadRecord(f"{record(int(index))}: {each.complaint(float(flat[index, place]), top, bounds[top])}")


def draws(seed: int, batch: int, size: int) -> np.ndarray:
    """The random numbers (size, 3) of a batch, in [0, 1): a function of the seed and the batch's number only."""
    return np.random.default_rng((seed, batch)).random((size, 3))


@lru_cache(maxsize=8)
def shuffled(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order of an epoch: a permutation of 0 … size − 1, a function of the arguments only."""
    order = np.random.default_rng((seed, epoch, size)).permutation(size)
    order.flags.writeable = False
    return order


Picture = Callable[[], np.ndarray]
"""Reads or decodes one picture; raises DataError, whose message continues after the record's name."""


def transformed(
    pictures: Sequence[Picture] | np.ndarray,
    names: Callable[[int], str],
    transform: Transform,
    u: np.ndarray,
    threads: int | None = None,
) -> np.ndarray | Pixels:
    """Makes the float32 batch (n, channels, height, width) of some pictures, or the `Pixels` for a device to make it.

    `pictures`: a function for each that reads it; or all of them, (n, channels, height, width), already read. As in
    Caffe, the first one determines the size of the whole batch, and a picture that comes out at another size is an
    error. `names(i)`: the name of the i-th in messages. `u`: the random numbers (n, 3) of the batch. `threads`: how
    many may work on it; None for one per core.
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
    """Raised when a batch begun with pictures of bytes turns out to contain one of floats."""


def _room(count: int, shape: tuple[int, ...], transform: Transform, first: np.ndarray) -> np.ndarray:
    """An uninitialised batch of `count` pictures of that shape; `first`: the first one, not transformed yet."""
    if transform.stored(first) == np.uint8 and count * prod(shape) >= WORTH:
        return np.empty((count, *shape), np.uint8)
    return aligned.empty((count, *shape))


def _each_transformed(
    pictures: Sequence[Picture], names: Callable[[int], str], transform: Transform, u: np.ndarray, threads: int | None
) -> np.ndarray:
    future: Future[np.ndarray] = Future()  # set with the first picture, which determines the shape; the others wait

    def work(index: int) -> None:
        try:
            picture = pictures[index]()
            shape = transform.shape(picture.shape)
            if not index:
                future.set_result(_room(len(pictures), shape, transform, picture))
        except BaseException as e:
            error = BadRecord(f"{names(index)}: {e}") if isinstance(e, DataError) else e
            if not index:
                future.set_exception(error)
            raise error from e
        batch = future.result()
        if shape != batch.shape[1:]:
            raise BadRecord(
                f"{names(index)}: is {by(shape)} (channels × height × width) and the first of its batch is "
                f"{by(batch.shape[1:])}. Resize them all to one size, or set crop_size, or batch_size: 1."
            )
        if batch.dtype == np.uint8 and picture.dtype != np.uint8:
            raise _Mixed
        transform([picture], u[index : index + 1], batch[index : index + 1])  # now, while it is in the cache

    workers.share(work, len(pictures), threads)
    return future.result()


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
"""How many values a thread transforms at a time."""
