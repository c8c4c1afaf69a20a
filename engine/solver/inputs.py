"""The inputs of a net, batch by batch: what its data layers read, and the caller's values for its Input layers."""

import weakref
from collections.abc import Mapping
from typing import Any, Self

import jax
import numpy as np

from engine.data.feed import Feed
from engine.data.pixels import Transforms
from engine.devices.data_parallel import DataParallel
from engine.net.net import Net


class Batches:
    """The batches of a net. `close()` ends the reading threads.

    values: the Input layers' tops by name, zeros at first; write into them, or replace them, between batches. parallel:
    the devices, each of which gets its own batch, and the same values. read_ahead: whether all data layers read batches
    before they are asked for.
    """

    def __init__(self, net: Net, seed: int, parallel: DataParallel | None = None) -> None:
        self._parallel = parallel or DataParallel()
        self._alone = all(shape[:1] == (1,) for source in net.sources for shape in source.top_shapes)
        self.values = {name: np.zeros(net.blob_shapes[name], np.float32) for name in net.input_names}
        sources = {source.name: source.open(seed + i) for i, source in enumerate(net.sources)}
        if jax.default_backend() != "cpu":  # a CPU would only copy what the host's memory already holds
            for source in sources.values():
                if isinstance(source, Transforms):  # labels that are pictures are checked on the host
                    source.transform.on_device = source.tops[0] not in net.label_bounds
        self.feed = Feed(sources, net.label_bounds, self._parallel.place, self._parallel.share) if sources else None
        self.read_ahead = all(source.prefetch is not None for source in sources.values())
        # Runs once, at the latest when the interpreter exits: threads that outlive it would abort it.
        self.close = weakref.finalize(self, self.feed.close if self.feed else tuple)

    def next(self) -> Mapping[str, Any]:
        """The next batch: every top of every source layer. `values` are copied, since the device may read them after
        the caller has changed them."""
        batch = dict(self.feed.next()) if self.feed else {}
        values = {name: value.copy() for name, value in self.values.items()}
        return batch | (
            self._parallel.place([values] * self._parallel.share.count) if self._parallel.count > 1 else values
        )

    def ahead(self) -> Mapping[str, Any] | None:
        """What `next` will return, if each batch has one item, as batches of pictures that aren't resized must have.

        None for other batches, or if it is not known.
        """
        if not self.feed or not self._alone:
            return None
        ahead = self.feed.ahead()
        return ahead and {**ahead, **self.values}

    def state(self) -> dict[str, Any]:
        """The position after the last batch handed out, as JSON values."""
        return self.feed.state() if self.feed else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues after the batch at which `state` was taken."""
        if self.feed:
            self.feed.restore(state)

    def skip(self, batches: int) -> None:
        """Skips this many batches."""
        if self.feed:
            self.feed.skip(batches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
