"""The inputs of a net, batch by batch: what its data layers read, and what the caller set for its Input layers."""

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
    """`values`: the Input layers' tops by name, zeros at first; write into them, or replace them, between batches.
    `parallel`: the devices that get a batch each, and the same values. read_ahead: whether all data layers read batches
    before they are asked for.

    `close()` ends the reading threads.
    """

    def __init__(self, net: Net, seed: int, parallel: DataParallel | None = None) -> None:
        self._parallel = parallel or DataParallel()
        self._alone = all(shape[:1] == (1,) for source in net.sources for shape in source.top_shapes)
        self.values = {name: np.zeros(net.blob_shapes[name], np.float32) for name in net.input_names}
        sources = {source.name: source.open(seed + i) for i, source in enumerate(net.sources)}
        if jax.default_backend() != "cpu":  # which would have to copy what the host's memory already holds
            for source in sources.values():
                if isinstance(source, Transforms):  # labels that are pictures are looked at here
                    source.transform.on_device = source.tops[0] not in net.label_bounds
        self.feed = Feed(sources, net.label_bounds, self._parallel.place, self._parallel.share) if sources else None
        self.read_ahead = all(source.prefetch is not None for source in sources.values())
        # Once only, and at the latest when the interpreter ends: threads that outlived it would abort it.
        self.close = weakref.finalize(self, self.feed.close if self.feed else tuple)

    def next(self) -> Mapping[str, Any]:
        """Every top of every source layer. The values are copied: the device may read them after they have changed."""
        batch = dict(self.feed.next()) if self.feed else {}
        values = {name: value.copy() for name, value in self.values.items()}
        return batch | (
            self._parallel.place([values] * self._parallel.share.count) if self._parallel.count > 1 else values
        )

    def ahead(self) -> Mapping[str, Any] | None:
        """What `next` will return, where batches are of one item each, as those of pictures never resized have to be.

        None for others, and where there is no telling.
        """
        if not self.feed or not self._alone:
            return None
        ahead = self.feed.ahead()
        return ahead and {**ahead, **self.values}

    def state(self) -> dict[str, Any]:
        """The position behind the batch last handed out, in JSON values."""
        return self.feed.state() if self.feed else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on behind the batch that `state` was taken at."""
        if self.feed:
            self.feed.restore(state)

    def skip(self, batches: int) -> None:
        """To where as many calls of `next` lead."""
        if self.feed:
            self.feed.skip(batches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
