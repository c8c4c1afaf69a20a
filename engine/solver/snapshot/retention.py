"""Which snapshots of a run there are, and which of them stay."""

from engine.solver.snapshot.formats import Files


class Shelf:
    """The snapshots that a run has written under one prefix, through all its resumptions.

    keep: how many of the last stay besides the best one; 0: all. Files of other runs are never touched.
    """

    def __init__(self, prefix: str, *, hdf5: bool, keep: int) -> None:
        self.prefix, self.hdf5, self.keep = prefix, hdf5, keep
        self.iterations: list[int] = []

    def files(self, iteration: int) -> Files:
        """The names of the snapshot of an iteration."""
        return Files.of(self.prefix, iteration, self.hdf5)

    def put(self, iteration: int, best: int) -> list[int]:
        """Takes the snapshot of `iteration` in; returns those to `remove` once it is written.

        They are listed until then, in its resume file too: the next snapshot takes care of what a killed process left.
        """
        self.iterations = [*(i for i in self.iterations if i != iteration), iteration]
        return [i for i in self.iterations[: -self.keep] if i != best] if self.keep else []

    def remove(self, iterations: list[int]) -> None:
        """Deletes the snapshots of these iterations."""
        for i in iterations:
            self.files(i).remove()
        self.iterations = [i for i in self.iterations if i not in iterations]
