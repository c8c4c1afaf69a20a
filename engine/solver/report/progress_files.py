"""The figures of a run: progress.json (its current state), metrics.jsonl (its course), a progress bar on a terminal."""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import jax
import numpy as np

from engine.errors import DataError
from engine.host import memory
from engine.host.append import append
from engine.host.atomic_file import replace, writing
from engine.job_contract import METRICS, PROGRESS, ProgressRecord, TestMetrics, TrainMetrics
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.schema import Malformed, field, none_or, number, read_object, seconds, table, text, whole
from engine.solver.best_tracker import Best, BestTracker

if TYPE_CHECKING:
    from rich.progress import Progress

PERIOD = 2.0
"""Seconds between two writes of progress.json, and between two updates of the bar's text."""

POINTS = 500
"""The loss of a run is recorded at this many iterations at least, however rarely it is displayed."""

Figures = Mapping[str, Any]


class _Current(NamedTuple):
    """The number of iterations done, the losses of the last `average_loss` ones, and the last learning rate."""

    iteration: int = 0
    losses: Sequence[Any] = ()
    rate: np.float32 = np.float32(0)


class Records:
    """Keeps the two files in `folder`, and the bar on a terminal, up to date; without either, does nothing.

    Raises DataError if a file cannot be written.
    """

    def __init__(self, folder: Path | None = None, *, bar: bool = False) -> None:
        """Creates `folder`, if given."""
        self.folder = folder
        self.bar = _bar() if bar and sys.stderr.isatty() else None
        self._tested: dict[str, Any] = {}
        self._tested_at: int | None = None
        self._best: dict[str, Best] = {}
        self._began = time.time()
        self._diverged: int | None = None
        self._noted = -1
        self._current = _Current()
        self._pending: list[bytes] = []
        self._written = -math.inf
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as e:
                raise DataError(f"{folder}: the folder for {PROGRESS} cannot be made: {e.strerror}.") from e

    def start(self, net: Net, param: pb.SolverParameter, iteration: int, devices: int = 1) -> None:
        """Training begins or continues at `iteration`, with one batch for each of `devices`."""
        self._max_iter = param.max_iter
        self._pictures = param.iter_size * _batch_size(net) * devices
        self._stride = max(1, param.max_iter // POINTS)
        self._begin: tuple[float, int] | None = None
        if self.folder is not None and iteration and not self._tested:
            self._began, self._best = _earlier(self.folder / PROGRESS, self._began)
        if self.bar and not self.bar.tasks:
            self.bar.add_task("", total=param.max_iter, completed=iteration, said="compiling")
            self.bar.start()

    def trained(self, iteration: int, loss: float, rate: float, outputs: Figures) -> None:
        """Records an iteration that is shown in the log."""
        self._train(iteration, loss, rate, outputs)
        self._flush()

    def tested(self, iteration: int, net: int, loss: float, outputs: Figures, weights: Mapping[str, float]) -> None:
        """Records the means of a test of test net number `net`. weights: its outputs' loss weights."""
        if iteration != self._tested_at:
            self._tested, self._tested_at = {}, iteration
        for name, value in outputs.items():
            key = f"{name} #{net}" if net else name
            self._tested[key] = value
            if isinstance(value, float):
                best = self._best.get(key, Best())
                self._best[key] = BestTracker(name).after(best, iteration, value, weights[name])
        self._note({"phase": "test", "net": net, "iteration": iteration, "loss": loss, "outputs": dict(outputs)})
        self._flush()
        self._written = -math.inf

    def progress(self, iteration: int, losses: Sequence[Any], rate: np.float32, *, last: bool = False) -> None:
        """To be called after every iteration. losses: of the last ones, ready on the device; read only when something
        is recorded or written. last: whether to write now, with the tests that are known."""
        now = time.monotonic()
        if self._begin is None:
            self._begin = (now, iteration)  # the time before was spent on compiling
        self._current = _Current(iteration, losses, rate)
        if self.folder is not None and (iteration - 1) % self._stride == 0 and iteration - 1 > self._noted:
            self._train(iteration - 1, _mean(losses), float(rate), {})
        if now - self._written >= PERIOD or last:
            self._write(now)

    def diverged(self, iteration: int) -> None:
        """Records that training stops, since the loss of `iteration`, already passed to `progress`, is not finite."""
        self._diverged = iteration
        if iteration > self._noted:
            self._train(iteration, math.nan, float(self._current.rate), {})
        self._write(time.monotonic())

    def _write(self, now: float) -> None:
        """Brings the bar and both files up to date."""
        self._written = now
        iteration, losses, rate = self._current
        begun, first = self._begin or (now, iteration)
        speed = (iteration - first) / (now - begun) if now > begun else 0.0
        if self.bar:
            self.bar.update(self.bar.tasks[0].id, completed=iteration, said=self._said(_mean(losses), speed))
        if self.folder is None:
            return
        self._flush()
        record: ProgressRecord = {
            "iteration": iteration,
            "max_iter": self._max_iter,
            "loss": _mean(losses),
            "lr": float(rate),
            "images_per_second": round(speed * self._pictures, 1),
            "seconds_left": round((self._max_iter - iteration) / speed, 1) if speed else None,
            "memory_bytes": _memory(),
            "time": time.time(),
            "began": self._began,
            "outputs": self._tested,
            "tested": self._tested_at,
            "best": {
                name: {"value": best.value, "iteration": best.iteration}
                for name, best in self._best.items()
                if best.value is not None
            },
            "diverged": self._diverged,
        }
        with writing(path := self.folder / PROGRESS, DataError):
            replace(path, _json(record).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Removes the bar, and writes what is not yet written, such as a test after the last iteration."""
        if self.bar:
            self.bar.stop()
        if self.folder is not None and self._current.losses and kind is None:
            self._write(time.monotonic())

    def _said(self, loss: float, speed: float) -> str:
        tested = "".join(f"  {name} {v:.4g}" for name, v in self._tested.items() if isinstance(v, float))
        tested += f" at {self._tested_at}" if tested else ""
        return f"loss {loss:.4g}{tested}  {speed * self._pictures:.0f} images/s"

    def _train(self, iteration: int, loss: float, rate: float, outputs: Figures) -> None:
        self._noted = iteration
        self._note({"phase": "train", "iteration": iteration, "loss": loss, "lr": rate, "outputs": dict(outputs)})

    def _note(self, entry: TrainMetrics | TestMetrics) -> None:
        if self.folder is not None:
            self._pending.append(_json({**entry, "time": time.time()}).encode() + b"\n")

    def _flush(self) -> None:
        """Appends what was recorded to metrics.jsonl; several lines at once if iterations are fast."""
        if self.folder is not None and self._pending:
            with writing(path := self.folder / METRICS, DataError):
                append(path, b"".join(self._pending))
            self._pending = []


def _bar() -> "Progress":
    # Imported here: most runs are jobs without a terminal, and start faster without it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[said]}"),
        console=Console(file=sys.stderr), transient=True,
    )  # fmt: skip


def _mean(losses: Sequence[Any]) -> float:
    return float(np.mean([np.float32(loss) for loss in losses]))


def _earlier(path: Path, began: float) -> tuple[float, dict[str, Best]]:
    """When a resumed run originally began, and its best tests so far, from the progress.json that it left; without one,
    `began` and none."""
    bests = table(text(), table(text(), none_or(number)))
    try:
        values = read_object(path.read_bytes())
        best = field(values, "best", bests, {})
        best_by_name = {
            name: Best(field(b, "value", number), int(field(b, "iteration", whole(0)))) for name, b in best.items()
        }
        return field(values, "began", seconds, began), best_by_name
    except (OSError, Malformed):
        return began, {}


def _batch_size(net: Net) -> int:
    """The size of the first axis of the net's first blob; 1 if there is none."""
    shape = next(iter(net.shapes.values()), ())
    return shape[0] if shape else 1


def _memory() -> int:
    """The peak bytes that this process has held on the device, or on a CPU in total."""
    on_device = jax.local_devices()[0].memory_stats()
    if on_device:
        return int(on_device["peak_bytes_in_use"])
    return memory.peak()


def _json(value: Any) -> str:
    return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    """Replaces NaN and infinity, which JSON lacks, by None (null)."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
