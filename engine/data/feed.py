"""The feed: makes batches ahead in host threads, and puts them on the device while it works on earlier ones."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from queue import SimpleQueue
from typing import Self

import jax

from engine.data.bad_records import Skips, told
from engine.data.label_bounds import LabelBounds
from engine.data.source import Batch, Source, State, check_labels
from engine.errors import DataError
from engine.host import memory
from engine.units import short_size

Placed = dict[str, jax.Array]
Place = Callable[[Sequence[Batch]], Placed]


@dataclass(frozen=True)
class Share:
    """The batches that a feed reads: of every `of` consecutive ones, `count`, starting with number `first`."""

    first: int = 0
    count: int = 1
    of: int = 1


class Feed:
    """Hands out the batches of several sources together; a thread per source reads ahead.

    `sources`: by layer name. `bounds`: the allowed labels in the tops (`Net.label_bounds`); a label out of bounds is
    a DataError, where Caffe would read past the end of an array. `place` puts a share's batches on the devices.
    Threads start with the first `next`, so a feed costs nothing before it is used. The feed owns its sources.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        bounds: Mapping[str, Sequence[LabelBounds]] | None = None,
        place: Place = lambda batches: jax.device_put(batches[0]),
        share: Share = Share(),
    ) -> None:
        for source in sources.values():
            if isinstance(source, Skips) and source.bad is not None:
                source.bad.bounds = bounds or {}
        self._lanes = {name: _Lane(name, source, bounds or {}, place, share) for name, source in sources.items()}

    def next(self, layers: Collection[str] | None = None) -> Placed:
        """The tops by name, of every source or of those of some layers only.

        Raises what a source raised, once the batch that failed is due, and at every later call.
        """
        lanes = [lane for name, lane in self._lanes.items() if layers is None or name in layers]
        return {top: value for lane in lanes for top, value in lane.next().items()}

    def ahead(self) -> Placed | None:
        """What `next` will return; None if a source makes its batches only when they are requested, or has failed."""
        ahead = [lane.ahead() for lane in self._lanes.values()]
        return {top: value for each in ahead if each for top, value in each.items()} if all(ahead) else None

    def source(self, layer: str) -> Source:
        """The source of a layer. Call `restore` before changing it: that ends the thread that reads it."""
        return self._lanes[layer].source

    def state(self) -> State:
        """The position after the last batch handed out, regardless of what was read ahead: JSON values by layer."""
        return {name: lane.state for name, lane in self._lanes.items()}

    def restore(self, state: State) -> None:
        """Moves to the position of a `state` and drops what was read ahead. Layers that it does not name stay put."""
        for name, lane in self._lanes.items():
            if name in state:
                lane.restore(state[name])

    def skip(self, batches: int) -> None:
        """Advances by as many calls of `next`."""
        for lane in self._lanes.values():
            lane.skip(batches)

    def close(self) -> None:
        """Ends the threads and closes the sources. May be called again, without effect."""
        for lane in self._lanes.values():
            lane.stop()
        for lane in self._lanes.values():
            lane.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Lane:
    """One source with the thread that reads it ahead. `state`: the position after the last batch handed out."""

    def __init__(
        self, name: str, source: Source, bounds: Mapping[str, Sequence[LabelBounds]], place: Place, share: Share
    ) -> None:
        self.source = source
        self.state = source.state()
        self._name, self._bounds, self._place, self._share = name, bounds, place, share
        self._check_depth()
        self._run: _Run | None = None
        self._closed = False

    def next(self) -> Placed:
        if self._closed:
            raise RuntimeError("this feed is closed")
        if self.source.prefetch is None:
            batch, self.state = self._make()
            return batch
        if self._run is None:
            self._run = _Run(self._name, self._make, self.source.prefetch)
        batch, self.state = self._run.take()
        return batch

    def ahead(self) -> Placed | None:
        """What the next call of `next` will return, waiting for the thread; None if it has none, or has failed."""
        return self._run.ahead() if self._run else None

    def _make(self) -> tuple[Placed, State]:
        share = self._share
        self.source.skip(share.first)
        batches = [self._checked() for _ in range(share.count)]
        self.source.skip(share.of - share.first - share.count)
        return self._place(batches), self.source.state()

    def _checked(self) -> Batch:
        try:
            batch = self.source.next()
        except DataError as e:
            raise DataError(f'layer "{self._name}": {told(e, self.source)}') from e
        try:
            check_labels(batch, self._bounds, self.source.record)
        except DataError as e:
            raise DataError(f'layer "{self._name}": {e}') from e
        return batch

    def _check_depth(self) -> None:
        """Raises DataError for a prefetch that is out of range: it comes from the prototxt (data_param's prefetch)."""
        if self.source.prefetch is None:
            return
        depth, size = self.source.prefetch, sum(4 * prod(shape) for shape in self.source.shapes())
        if depth < 1:
            raise DataError(f'layer "{self._name}": prefetch is {depth}; 1 or more is needed.')
        if lacking := memory.lacking(depth * size):
            raise DataError(f'layer "{self._name}": to prefetch {depth:,} batches of {short_size(size)} {lacking}.')

    def restore(self, state: State) -> None:
        self.stop()
        if self._run is not None:
            self._run.thread.join()
        self._run = None
        self.source.restore(state)
        self.state = self.source.state()

    def skip(self, batches: int) -> None:
        self.restore(self.state)
        self.source.skip(batches * self._share.of)
        self.state = self.source.state()

    def stop(self) -> None:
        if self._run is not None:
            self._run.stop()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._run is not None:
            self._run.thread.join(_CLOSE_TIMEOUT)
            if self._run.thread.is_alive():
                return  # a read hangs (a lost file server): the daemon thread still uses the source, so leave it open
        if isinstance(self.source, Skips) and self.source.bad is not None:
            self.source.bad.sum_up()
        self.source.close()


_CLOSE_TIMEOUT = 5.0
"""Seconds that closing waits for a read in progress."""


class _Run:
    """A thread that calls `make` again and again, at most `depth` results ahead of `take`."""

    def __init__(self, name: str, make: Callable[[], tuple[Placed, State]], depth: int) -> None:
        self._make = make
        self._room = threading.Semaphore(depth)
        self._ready: SimpleQueue[tuple[Placed, State] | BaseException] = SimpleQueue()
        self._ahead: tuple[Placed, State] | BaseException | None = None
        self._stopped = False
        self._failure: BaseException | None = None
        self.thread = threading.Thread(target=self._work, name=f"feed {name}", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while True:
            self._room.acquire()
            if self._stopped:
                return
            try:
                self._ready.put(self._make())
            except BaseException as e:  # whatever it is, it must reach the thread that calls `take`
                self._ready.put(e)
                return

    def take(self) -> tuple[Placed, State]:
        if self._failure is None:
            entry, self._ahead = self._ahead or self._ready.get(), None
            self._room.release()
            if not isinstance(entry, BaseException):
                return entry
            self._failure = entry
        raise self._failure

    def ahead(self) -> Placed | None:
        """Waits for what `take` will return, and returns it; None for a failure, which `take` will raise."""
        if self._failure is None and self._ahead is None:
            self._ahead = self._ready.get()
        return self._ahead[0] if isinstance(self._ahead, tuple) else None

    def stop(self) -> None:
        self._stopped = True
        self._room.release()
