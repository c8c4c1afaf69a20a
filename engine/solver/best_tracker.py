"""Tracks the best test so far and how long ago it was, for keeping snapshots, early stopping and plateaus."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from engine.errors import SolverError
from engine.job_contract import lower_is_better


@dataclass(frozen=True)
class Best:
    """The best value of a test output so far (None before the first test) and the iteration of that test.

    tests_since: the number of tests since then. plateau: the iteration of the last plateau, -1 if there was none.
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
        """Whether, at `iteration`, `patience` iterations have passed since the best one and since the last plateau."""
        return iteration - max(self.iteration, self.plateau) >= patience


@dataclass(frozen=True)
class BestTracker:
    """Decides which of two values of a test output is better.

    name: the output's. order: "min" or "max"; or "": smaller is better for a loss or error, larger for anything else.
    """

    name: str
    order: str = ""

    @classmethod
    def of(cls, watched: str) -> "BestTracker":
        """The tracker for an output's name, or for "min:NAME" or "max:NAME"."""
        order, _, name = watched.partition(":")
        return cls(name, order) if order in ("min", "max") and name else cls(watched)

    def check(self, outputs: Iterable[str]) -> None:
        """Raises SolverError if the output to watch is not among `outputs`, those of all test nets."""
        if self.name not in outputs:
            available = ", ".join(sorted(outputs)) or "none"
            raise SolverError(f"-watch {self.name}: no test net has that output; there are: {available}.")

    def after(self, best: Best, iteration: int, value: float, weight: float) -> Best:
        """The best one after a test in which the output's mean was `value`; NaN is never the best. weight: the output's
        loss weight."""
        least = self.order == "min" or (not self.order and (weight != 0 or lower_is_better(self.name)))
        better = best.value is None or (value < best.value if least else value > best.value)
        if np.isfinite(value) and better:
            return replace(best, value=value, iteration=iteration, tests_since=0)
        return replace(best, tests_since=best.tests_since + 1)
