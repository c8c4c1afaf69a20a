"""The snapshots of a run, and which of them are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.solver.snapshot.formats import Files


@dataclass(frozen=True)
class SnapshotSeries:
    """The snapshots that a run writes under one prefix, including those of resumed runs.

    keep: how many of the last are kept besides the best one; 0: all. Files of other runs are never touched.
    """

    prefix: str
    hdf5: bool
    keep: int

    def files(self, iteration: int) -> Files:
        """The files of an iteration's snapshot."""
        return Files.of(self.prefix, iteration, self.hdf5)

    def surplus(self, iterations: Sequence[int], best: int) -> list[int]:
        """Those of `iterations`, oldest first, that aren't kept. best: the iteration of the best one, or -1."""
        return [i for i in iterations[: -self.keep] if i != best] if self.keep else []

    def remove(self, iterations: Sequence[int]) -> None:
        """Deletes the snapshots of these iterations."""
        for i in iterations:
            self.files(i).remove()
