"""What Caffe has not and its users missed. All off unless asked for; kept out of Caffe's schema."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import SolverError


@dataclass(frozen=True)
class Extras:
    """keep: how many of the run's snapshots stay, 0 for all. watch: the test output that tells the best parameters.

    early_stop: tests without a better `watch` after which training stops, 0 for never. warmup: iterations in which the
    learning rate rises linearly to the policy's. nan: what to do about a loss that is no number: "ignore", "warn" or
    "stop".
    """

    keep: int = 0
    watch: str = ""
    early_stop: int = 0
    warmup: int = 0
    nan: str = "ignore"

    def __post_init__(self) -> None:
        if self.early_stop and not self.watch:
            raise SolverError("-early_stop needs -watch: the test output that has to get better.")

    def warmed(self, iteration: int) -> np.float32:
        """The factor on the learning rate at `iteration`."""
        return np.float32(min(1.0, (iteration + 1) / self.warmup)) if self.warmup else np.float32(1)


class Watch:
    """The best value so far of one test output, and how many tests ago that was.

    `name` is the output's; losses are best when least, other outputs when greatest, unless it is written "min:NAME" or
    "max:NAME".
    """

    _STATE = ("best", "iteration", "tests_since", "plateau")

    def __init__(self, name: str) -> None:
        order, _, rest = name.partition(":")
        self.name, self.order = (rest, order) if order in ("min", "max") and rest else (name, "")
        self.best: float | None = None
        self.iteration = -1
        self.tests_since = 0
        self.plateau = -1

    def check(self, outputs: Iterable[str]) -> None:
        """`outputs`: those of all test nets. Raises SolverError where the one to watch is not among them."""
        if self.name not in outputs:
            there = ", ".join(sorted(outputs)) or "none"
            raise SolverError(f"-watch {self.name}: no test net has that output; there are: {there}.")

    def see(self, iteration: int, value: float, weight: float) -> bool:
        """Takes the output's mean in a test; whether it is the best so far. NaN never is."""
        down = self.order == "min" or (not self.order and weight != 0)
        if np.isfinite(value) and (self.best is None or (value < self.best if down else value > self.best)):
            self.best, self.iteration, self.tests_since = value, iteration, 0
            return True
        self.tests_since += 1
        return False

    def is_plateau(self, iteration: int, patience: int) -> bool:
        """Whether `patience` iterations have passed since the best one, or since the last time that this was so."""
        if iteration - max(self.iteration, self.plateau) < patience:
            return False
        self.plateau = iteration
        return True

    def state(self) -> dict[str, Any]:
        """For the resume file, in JSON values."""
        return {name: getattr(self, name) for name in self._STATE}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state`."""
        for name in self._STATE:
            setattr(self, name, state[name])
