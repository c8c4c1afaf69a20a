"""Where a run stands, as a value: all that a checkpoint saves, and all that a resumed run needs to go on from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """Where a run stands between two iterations; by default, before the first.

    params: an array for each of `net.params`, on the device. history: what the update rule remembers of each. Both are
    used up by the iteration that begins with them. seed: what all random draws come from. best: of the output that is
    watched, None where none is. iteration: updates made. current_step: the drops of the learning rate so far. losses:
    those of the last iterations that `average_loss` asks for; not waited for. snapshots: the iterations of those kept.
    sizes: how often batches of each size came; see `engine.net.sized.Uses`.
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
