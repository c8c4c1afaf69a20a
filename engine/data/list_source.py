"""What sources that go round a list of files have in common: which of its lines a batch has."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from engine.data.source import State, position, shuffled
from engine.errors import DataError


class ListSource(ABC):
    """Reads the lines of a list, round and round, in a new random order each time if `shuffle`.

    Starts a random number below `rand_skip` of lines in, the same for the same seed. lines: how many the list at `path`
    has.
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
        """Those of a batch; `size`: only so many, the first."""
        begin = self._first + batch * self.batch_size
        places = [divmod(at, self._count) for at in range(begin, begin + (self.batch_size if size is None else size))]
        if not self._shuffle:
            return [place for _, place in places]
        return [int(shuffled(self._seed, epoch, self._count)[place]) for epoch, place in places]

    def _choose(self) -> None:
        """Makes those of the next batch the chosen ones. Raises DataError where the first lies behind the list's end.

        As in Caffe, only a number that was drawn does: the same rand_skip may go well with another seed.
        """
        if self._first >= self._count:
            raise DataError(
                f"{self._path}: Not enough points to skip: rand_skip {self._rand_skip} has drawn {self._first:,}, and "
                f"the list has {self._count:,}. Give it {self._count} at most."
            )
        self._chosen = self._lines(self._batches)

    @abstractmethod
    def _name(self, line: int) -> str:
        """How messages name what a line lists."""

    def skip(self, batches: int) -> None:
        self._batches += batches

    def record(self, index: int) -> str:
        return self._name(self._chosen[index])

    def state(self) -> State:
        return {"batches": self._batches, "first": self._first, "seed": self._seed}

    def restore(self, state: State) -> None:
        self._batches, self._first, self._seed = (position(state, name) for name in ("batches", "first", "seed"))

    def close(self) -> None:  # noqa: B027 - every list is done with between batches
        """Nothing is held open between batches."""
