"""The state of a run as a value: all that a checkpoint saves, and all that a resumed run needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax

from engine.solver.best_tracker import Best
from engine.solver.updates import Slots

Array = jax.Array


class DataPositions(NamedTuple):
    """How far data has been read, as JSON values by source layer: for the trained net, and for each test net."""

    train: dict[str, Any]
    tests: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class TrainState:
    """The state of a run between two iterations; by default, before the first.

    params: one array for each of `net.params`, on the device. history: what the update rule remembers of each. The
    iteration that starts from these uses both up. seed: determines all random draws. best: of the watched output, None
    if none is watched. iteration: the number of updates made. current_step: the number of drops of the learning rate.
    losses: of the last `average_loss` iterations, perhaps still being computed. snapshots: the iterations of the
    snapshots kept. sizes: the counts of batches of each size; see `engine.net.sized.Uses`.
    """

    params: list[Array]
    history: list[Slots]
    seed: int
    data: DataPositions
    best: Best | None
    iteration: int = 0
    current_step: int = 0
    losses: Sequence[Array | float] = ()
    snapshots: Sequence[int] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
