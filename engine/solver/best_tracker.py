"""Which test was the best so far, and how long ago: what keeping, stopping early and plateaus go by."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from engine.errors import SolverError
from engine.job_contract import lower_is_better


@dataclass(frozen=True)
class Best:
    """The best value of a test output so far, None before the first one, and the iteration that it is of.

    tests_since: tests since then. plateau: the iteration at which the last plateau was met, -1 for none.
    """

    value: float | None = None
    iteration: int = -1
    tests_since: int = 0
    plateau: int = -1

    @property
    def is_new(self) -> bool:
        """Whether the last test was the best one."""
        return self.tests_since == 0

    def is_plateau(self, iteration: int, patience: int) -> bool:
        """Whether `patience` iterations have passed at `iteration` since the best one, or since the last plateau."""
        return iteration - max(self.iteration, self.plateau) >= patience


@dataclass(frozen=True)
class BestTracker:
    """Tells the better of two values of one test output.

    name: the output's. order: "min" or "max"; "" for the least of a loss or error, and the greatest of what is none.
    """

    name: str
    order: str = ""

    @classmethod
    def of(cls, watched: str) -> "BestTracker":
        """Of an output's name, or "min:NAME" or "max:NAME"."""
        order, _, name = watched.partition(":")
        return cls(name, order) if order in ("min", "max") and name else cls(watched)

    def check(self, outputs: Iterable[str]) -> None:
        """`outputs`: those of all test nets. Raises SolverError where the one to watch is not among them."""
        if self.name not in outputs:
            there = ", ".join(sorted(outputs)) or "none"
            raise SolverError(f"-watch {self.name}: no test net has that output; there are: {there}.")

    def after(self, best: Best, iteration: int, value: float, weight: float) -> Best:
        """The best one after a test with `value`, the output's mean; NaN never is. `weight`: the output's as a loss."""
        least = self.order == "min" or (not self.order and (weight != 0 or lower_is_better(self.name)))
        better = best.value is None or (value < best.value if least else value > best.value)
        if np.isfinite(value) and better:
            return replace(best, value=value, iteration=iteration, tests_since=0)
        return replace(best, tests_since=best.tests_since + 1)
