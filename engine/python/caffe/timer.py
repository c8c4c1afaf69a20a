"""`caffe.Timer`: a stopwatch."""

import time


class Timer:
    """Works like Caffe's: starting it while it runs has no effect, and reading `ms` stops it."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._ms = 0.0

    def start(self) -> None:
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self) -> None:
        if self._started is not None:
            self._ms, self._started = (time.perf_counter() - self._started) * 1e3, None

    @property
    def ms(self) -> float:
        """Milliseconds between the last `start` and `stop`; 0 before the first."""
        self.stop()
        return self._ms
