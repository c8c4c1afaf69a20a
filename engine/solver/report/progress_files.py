"""A run in figures: progress.json (where it stands), metrics.jsonl (every display and test), a bar on a terminal."""

import json
import math
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.errors import DataError
from engine.host.append import append
from engine.host.atomic_file import replace, writing
from engine.job_contract import METRICS, PROGRESS, ProgressRecord, TestMetrics, TrainMetrics
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb

PERIOD = 2.0
"""Seconds between two writings of progress.json, and between two updates of the bar's text."""

Figures = Mapping[str, Any]


class Records:
    """Keeps the two files in `folder` up to date, and the bar on a terminal; with neither, does nothing.

    Raises DataError where a file cannot be written.
    """

    def __init__(self, folder: Path | None = None, *, bar: bool = False) -> None:
        """Makes `folder`."""
        self.folder = folder
        self.bar = _bar() if bar and sys.stderr.isatty() else None
        self._tested: dict[str, Any] = {}
        self._written = -math.inf
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as e:
                raise DataError(f"{folder}: the folder for {PROGRESS} cannot be made: {e.strerror}.") from e

    def start(self, net: Net, param: pb.SolverParameter, iteration: int, devices: int = 1) -> None:
        """Training begins, or goes on, at `iteration`, with a batch for each of so many devices."""
        self._max_iter = param.max_iter
        self._pictures = param.iter_size * _batch_size(net) * devices
        self._begin: tuple[float, int] | None = None
        if self.bar and not self.bar.tasks:
            self.bar.add_task("", total=param.max_iter, completed=iteration, said="compiling")
            self.bar.start()

    def trained(self, iteration: int, loss: float, rate: float, outputs: Figures) -> None:
        """An iteration that is shown in the log."""
        self._append({"phase": "train", "iteration": iteration, "loss": loss, "lr": rate, "outputs": dict(outputs)})

    def tested(self, iteration: int, net: int, loss: float, outputs: Figures) -> None:
        """The means of a test of test net number `net`."""
        self._tested = dict(outputs)
        self._append({"phase": "test", "net": net, "iteration": iteration, "loss": loss, "outputs": dict(outputs)})
        self._written = -math.inf

    def progress(self, iteration: int, loss: Any, rate: float, *, last: bool = False) -> None:
        """After every iteration: `loss` is on the device and ready; it is read when something is written."""
        now = time.monotonic()
        if self._begin is None:
            self._begin = (now, iteration)  # what came before was compiling
        if now - self._written < PERIOD and not last:
            return
        self._written = now
        speed = (iteration - self._begin[1]) / (now - self._begin[0]) if now > self._begin[0] else 0.0
        if self.bar:
            self.bar.update(self.bar.tasks[0].id, completed=iteration, said=self._said(float(loss), speed))
        if self.folder is not None:
            found: ProgressRecord = {
                "iteration": iteration,
                "max_iter": self._max_iter,
                "loss": float(loss),
                "lr": float(rate),
                "images_per_second": round(speed * self._pictures, 1),
                "seconds_left": round((self._max_iter - iteration) / speed, 1) if speed else None,
                "memory_bytes": _memory(),
                "time": time.time(),
                "outputs": self._tested,
            }
            with writing(path := self.folder / PROGRESS, DataError):
                replace(path, _json(found).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Takes the bar away."""
        if self.bar:
            self.bar.stop()

    def _said(self, loss: float, speed: float) -> str:
        tested = "".join(f"  {name} {v:.4g}" for name, v in self._tested.items() if isinstance(v, float))
        return f"loss {loss:.4g}{tested}  {speed * self._pictures:.0f} images/s"

    def _append(self, entry: TrainMetrics | TestMetrics) -> None:
        if self.folder is not None:
            line = _json({**entry, "time": time.time()}).encode() + b"\n"
            with writing(path := self.folder / METRICS, DataError):
                append(path, line)


def _bar() -> Progress:
    return Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[said]}"),
        console=Console(file=sys.stderr), transient=True,
    )  # fmt: skip


def _batch_size(net: Net) -> int:
    """The first axis of the first source's first top; 1 where there is none."""
    shape = next(iter(net.shapes.values()), ())
    return shape[0] if shape else 1


def _memory() -> int:
    """The most bytes that this process has held on the device, or on a CPU in all."""
    on_device = jax.local_devices()[0].memory_stats()
    if on_device:
        return int(on_device["peak_bytes_in_use"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _json(value: Any) -> str:
    return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
