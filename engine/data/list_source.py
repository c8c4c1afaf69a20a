"""The base of sources that read a list of files again and again: decides which lines each batch consists of."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from engine.data.source import State, position, shuffled
from engine.errors import DataError


class ListSource(ABC):
    """Reads the lines of a list again and again, with `shuffle` in a new random order each time.

    Starts at a random one of the first `rand_skip` lines, which the seed determines. lines: how many lines the list at
    `path` has.
    """

    def __init__(
        self, path: Path, lines: int, batch_size: int, seed: int, *, shuffle: bool = False, rand_skip: int = 0
    ) -> None:
        self.batch_size = batch_size
        self._path, self._count, self._shuffle, self._rand_skip = path, lines, shuffle, rand_skip
        self._seed, self._batches = seed, 0
        self._first = int(np.random.default_rng((seed, rand_skip)).integers(rand_skip)) if rand_skip else 0
        self._chosen: list[int] = []

    def _lines(self, batch: int, size: int | None = None) -> list[int]:
        """The lines of a batch; `size`: only the first so many."""
        begin = self._first + batch * self.batch_size
        places = [divmod(at, self._count) for at in range(begin, begin + (self.batch_size if size is None else size))]
        if not self._shuffle:
            return [place for _, place in places]
        return [int(shuffled(self._seed, epoch, self._count)[place]) for epoch, place in places]

    def _choose(self) -> None:
        """Chooses the lines of the next batch. Raises DataError if the first line is beyond the end of the list.

        As in Caffe, what counts is the number drawn: the same rand_skip may succeed with another seed.
        """
        if self._first >= self._count:
            raise DataError(
                f"{self._path}: Not enough points to skip: rand_skip {self._rand_skip} has drawn {self._first:,}, and "
                f"the list has {self._count:,} lines. Set rand_skip to {self._count} at most."
            )
        self._chosen = self._lines(self._batches)

    @abstractmethod
    def _name(self, line: int) -> str:
        """The name, in messages, of the item on a line."""

    def skip(self, batches: int) -> None:
        self._batches += batches

    def record(self, index: int) -> str:
        return self._name(self._chosen[index])

    def state(self) -> State:
        return {"batches": self._batches, "first": self._first, "seed": self._seed}

    def restore(self, state: State) -> None:
        self._batches, self._first, self._seed = (position(state, name) for name in ("batches", "first", "seed"))

    def close(self) -> None:  # noqa: B027 - not abstract: no list source needs more
        """Nothing is held open between batches."""
