"""`caffe.Timer`: a stop-watch."""

import time


class Timer:
    """ms: between the last `start` and the `stop` after it; 0 before."""

    def __init__(self) -> None:
        self._started: float | None = None
        self.ms = 0.0

    def start(self) -> None:
        self._started = time.perf_counter()

    def stop(self) -> None:
        if self._started is not None:
            self.ms, self._started = (time.perf_counter() - self._started) * 1e3, None
