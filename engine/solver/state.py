"""Where a run stands, as a value: all that a checkpoint saves, and all that a resumed run needs to go on from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from engine.solver.best_tracker import Best
from engine.solver.updates import Slots

Array = jax.Array


class DataPositions(NamedTuple):
    """How far the data has been read, in JSON values by source layer: of the net that is trained, of each test net."""

    train: dict[str, Any]
    tests: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class TrainState:
    """Where a run stands between two iterations.

    params: an array for each of `net.params`, on the device. history: what the update rule keeps of each, of its shape.
    iteration: updates made. current_step: the drops of the learning rate so far. seed: what all random draws come from.
    losses: those of the last iterations that `average_loss` asks for; not waited for. best: of the output that is
    watched, None where none is. snapshots: the iterations of those that are kept. The arrays are used up by the
    iteration that begins with them.
    """

    params: list[Array]
    history: list[Slots]
    iteration: int
    current_step: int
    seed: int
    losses: Sequence[Array | float]
    data: DataPositions
    best: Best | None
    snapshots: Sequence[int]
