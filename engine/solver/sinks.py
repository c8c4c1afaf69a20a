"""The files that a net's sinks (HDF5Output) write while batches pass."""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from engine.data.hdf5_sink import HDF5Sink
from engine.net.net import Net


class Sinks:
    """One file for each sink of `net`: begun with the first batch, and put in place by `close`.

    As a context, discards unfinished files on an error or interruption; older files then stay.
    """

    def __init__(self, net: Net) -> None:
        self._layers: dict[str, Any] = {layer.name: layer for layer in net.layers if layer.sink}
        self._files: dict[str, HDF5Sink] = {}
        self._finalizer = weakref.finalize(self, _close, self._files)

    def write(self, batch: Mapping[str, Sequence[Any]]) -> None:
        """Appends the sinks' bottoms that `net.forward` returned; waits for the device. Raises DataError."""
        for name, blobs in batch.items():
            if name not in self._files:
                self._files[name] = self._layers[name].open()
            self._files[name].write([np.asarray(blob, np.float32) for blob in blobs])

    def close(self) -> None:
        """Puts the files in place; those of an earlier `close` aren't touched. Raises DataError."""
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
