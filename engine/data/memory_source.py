"""Batches from arrays that a program sets: Caffe's MemoryData layer."""

from collections.abc import Sequence

import numpy as np

from engine.data.source import Batch, State, position
from engine.errors import DataError


class MemorySource:
    """Hands out the arrays given to `set`, batch by batch, again and again; they are not transformed.

    A batch holds the arrays' values at the time it is handed out: programs may refill them between passes. As in Caffe,
    a net is built for labels (batch,), but those of each batch have four axes, (batch, 1, 1, 1).
    """

    prefetch = None

    def __init__(self, tops: Sequence[str], shape: tuple[int, int, int, int]) -> None:
        self.tops, self.shape = tuple(tops), shape
        self._data = np.empty((0, 1, 1, 1), np.float32)
        self._labels = np.empty((0, 1, 1, 1), np.float32)
        self._at = 0

    def set(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Sets pictures (n, channels, height, width) and labels (n,), with n a multiple of the batch size.

        float32 arrays are not copied, as in Caffe. Raises DataError for other shapes.
        """
        data, labels = (np.ascontiguousarray(array, np.float32) for array in (data, labels))
        batch = self.shape[0]
        if data.shape[1:] != self.shape[1:] or not len(data) or len(data) % batch:
            raise DataError(
                f"the data has shape {data.shape}; {self.shape}, with a multiple of {batch} in front, is needed."
            )
        if labels.size != len(data):
            raise DataError(f"there are {labels.size} labels for {len(data)} items; one for each is needed.")
        self._data, self._labels = data, labels.reshape(-1, 1, 1, 1)
        self._at = 0

    def shapes(self) -> list[tuple[int, ...]]:
        return [self.shape, (self.shape[0],)]

    def next(self) -> Batch:
        if not len(self._data):
            raise DataError(
                f'the MemoryData layer of "{self.tops[0]}" has no data yet: set it before the first forward '
                "(set_input_arrays)."
            )
        window = slice(self._at, self._at + self.shape[0])
        self.skip(1)
        return dict(zip(self.tops, (self._data[window].copy(), self._labels[window].copy()), strict=True))

    def skip(self, batches: int) -> None:
        self._at = (self._at + batches * self.shape[0]) % max(1, len(self._data))

    def record(self, index: int) -> str:
        return f"item {(self._at - self.shape[0]) % len(self._data) + index} in memory"

    def state(self) -> State:
        return {"at": self._at}

    def restore(self, state: State) -> None:
        self._at = position(state, "at") % max(1, len(self._data))

    def close(self) -> None:
        """Nothing is held open."""
