"""Writes the file of Caffe's HDF5Output layer."""

import contextlib
import secrets
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from engine.errors import DataError
from engine.host import atomic_file


class HDF5Sink:
    """Appends batches to the float32 datasets `data` and `label`; the file appears on `close`.

    Shapes are Caffe's: num × channels × height × width, with ones for axes that a blob lacks; blobs with more axes keep
    theirs. Raises DataError if the file cannot be written.
    """

    names = ("data", "label")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = path.absolute()  # the current folder may have changed by the time of `close`
        self._temporary = self._target.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            self._file = h5py.File(self._temporary, "x")
        except OSError as e:
            raise DataError(f"{path}: cannot be written ({e}).") from e

    def write(self, blobs: Sequence[np.ndarray]) -> None:
        """Appends a batch: the values of both bottoms, which have the same number of rows."""
        try:
            for name, blob in zip(self.names, blobs, strict=True):
                rows = np.asarray(blob, np.float32)
                rows = rows.reshape(rows.shape + (1,) * (4 - rows.ndim))
                if name not in self._file:
                    self._file.create_dataset(name, data=rows, maxshape=(None, *rows.shape[1:]))
                    continue
                dataset = self._file[name]
                dataset.resize(len(dataset) + len(rows), axis=0)
                dataset[-len(rows) :] = rows
        except OSError as e:
            raise DataError(f"{self.path}: cannot be written ({e}).") from e

    def discard(self) -> None:
        """Drops what was written: no file appears, and one that was there before stays."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def close(self) -> None:
        """Puts the file in place; if no batch was written, there is no file."""
        try:
            empty = not len(self._file)
            self._file.close()
            if empty:
                self._temporary.unlink()
            else:
                self._temporary.replace(self._target)
                atomic_file.sync_folder(self._target.parent)
        except OSError as e:
            raise DataError(f"{self.path}: cannot be written ({e}).") from e
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)
