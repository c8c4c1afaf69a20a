"""The files that a net's sinks (HDF5Output) write while batches pass."""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from engine.data.hdf5_sink import HDF5Sink
from engine.net.net import Net


class Sinks:
    """One file for each sink of `net`: begun with the first batch, in its place once `close` has been called.

    As a context, an error or an interruption inside discards what was begun, and an older file stays.
    """

    def __init__(self, net: Net) -> None:
        self._layers: dict[str, Any] = {layer.name: layer for layer in net.layers if layer.sink}
        self._files: dict[str, HDF5Sink] = {}
        self._finalizer = weakref.finalize(self, _close, self._files)

    def write(self, batch: Mapping[str, Sequence[Any]]) -> None:
        """Appends what `net.forward` returned as its sinks; waits for the device. Raises DataError."""
        for name, blobs in batch.items():
            if name not in self._files:
                self._files[name] = self._layers[name].open()
            self._files[name].write([np.asarray(blob, np.float32) for blob in blobs])

    def close(self) -> None:
        """Puts the files in place, those of an earlier `close` left as they are. Raises DataError."""
        _close(self._files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed is None:
            self.close()
        while self._files:
            self._files.popitem()[1].discard()


def _close(files: dict[str, HDF5Sink]) -> None:
    while files:
        files.popitem()[1].close()
