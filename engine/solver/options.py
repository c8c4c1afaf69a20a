"""What Caffe has not and its users missed. All off unless asked for; kept out of Caffe's schema."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import SolverError
from engine.net.net import Net


@dataclass(frozen=True)
class TrainOptions:
    """keep: how many of the run's snapshots stay, 0 for all. watch: the test output that tells the best parameters.

    early_stop: tests without a better `watch` after which training stops, 0 for never. warmup: iterations in which the
    learning rate rises linearly to the policy's. nan: what to do about a loss that is no number: "ignore", "warn" or
    "stop". class_weights: how much the items of each class count in the softmax losses of the net that is trained, ()
    for alike. precision: "float32", or "bfloat16" for the layers that gain by it, on float32 parameters.
    """

    keep: int = 0
    watch: str = ""
    early_stop: int = 0
    warmup: int = 0
    nan: str = "ignore"
    class_weights: tuple[float, ...] = ()
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.early_stop and not self.watch:
            raise SolverError("-early_stop needs -watch: the test output that has to get better.")
        if any(not (np.isfinite(w) and w >= 0) for w in self.class_weights):
            raise SolverError(f"-class_weights {self.class_weights}: each must be a number of 0 or more.")

    def warmed(self, iteration: int) -> np.float32:
        """The factor on the learning rate at `iteration`."""
        return np.float32(min(1.0, (iteration + 1) / self.warmup)) if self.warmup else np.float32(1)

    def weigh(self, net: Net) -> None:
        """Gives the losses of `net` the class weights. Raises SolverError where it has none that takes them."""
        if self.class_weights:
            weights = np.asarray(self.class_weights, np.float32)
            weighed = [layer.name for layer in net.layers if layer.weigh_classes(weights)]
            if not weighed:
                raise SolverError("-class_weights: the net has no SoftmaxWithLoss to weigh classes in.")


def read_class_weights(given: str) -> tuple[float, ...]:
    """The class weights in "1,2.5,1", or in a file that holds them, one after the other. Raises SolverError."""
    words = given
    if given and Path(given).is_file():
        try:
            words = Path(given).read_text()
        except (OSError, UnicodeDecodeError) as e:
            raise SolverError(f"-class_weights {given}: cannot be read: {e}.") from e
    try:
        return tuple(float(word) for word in words.replace(",", " ").split())
    except ValueError as e:
        raise SolverError(
            f"-class_weights {given}: {e}. It takes one number a class, as 1,2.5,1, or a file of them."
        ) from e


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
