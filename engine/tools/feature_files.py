"""Outputs for a net's features: databases of float records, HDF5 and NumPy files, each written whole or not at all."""

import io
import secrets
import tempfile
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import h5py
import numpy as np

from engine.data import datum
from engine.data.backends import WRITERS
from engine.errors import DataError
from engine.host import atomic_file


class FeatureFile(Protocol):
    """Takes a blob's batches, one after the other, in a `with` block. The file appears when the block ends normally.

    rows: how many have been written, those of an interrupted run included. If set lower, the next batch begins there.
    """

    rows: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, rows: np.ndarray) -> None:
        """Adds a batch (n, …), float32. Raises DataError."""


def create(kind: str, path: Path, blob: str, settings: dict[str, Any] | None = None) -> FeatureFile:
    """The file `path` of one of KINDS, for a blob. Raises DataError if it already exists.

    settings: JSON values that identify what is written, with which a database continues what an interrupted run left.
    """
    if path.exists() or path.is_symlink():
        raise DataError(f"{path}: already exists. Remove it first, or give another name.")
    if kind in WRITERS:
        return FeatureDatabase(kind, path, settings)
    return HDF5Features(path, blob) if kind == "hdf5" else NPZFeatures(path, blob)


KINDS = (*WRITERS, "hdf5", "npz")


class FeatureDatabase:
    """A database of float Datum records, one per row, with the keys 0000000000, 0000000001, …

    As in Caffe, a row of up to three axes gives its record the shape (channels, height, width). Rows with more axes,
    which Caffe refuses, are flattened into channels.
    """

    def __init__(self, backend: str, path: Path, settings: dict[str, Any] | None = None) -> None:
        self._db = WRITERS[backend](path, settings)
        self.rows = self._resumed_rows = 0

    def __enter__(self) -> Self:
        self._db.__enter__()
        self.rows = self._resumed_rows = self._db.entries
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.__exit__(kind, error, trace)

    def write(self, rows: np.ndarray) -> None:
        shape = (*rows.shape[1:], 1, 1, 1)[:3] if rows.ndim <= 4 else (-1, 1, 1)
        for row in rows:
            if self.rows >= self._resumed_rows:  # earlier rows are in the database already
                self._db.put(b"%010d" % self.rows, datum.floats(row.reshape(shape)))
            self.rows += 1


class HDF5Features:
    """A data set named after the blob, with its batches concatenated: HDF5Data reads it as the top of that name."""

    rows = 0

    def __init__(self, path: Path, blob: str) -> None:
        self._path, self._blob = path, blob
        # A file left by a killed process is overwritten; HDF5 locks it against other processes.
        self._temporary = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> Self:
        with atomic_file.writing(self._path, DataError):
            self._file = h5py.File(self._temporary, "w")
        return self

    def write(self, rows: np.ndarray) -> None:
        with atomic_file.writing(self._path, DataError):
            if self._blob not in self._file:
                self._file.create_dataset(self._blob, data=rows, maxshape=(None, *rows.shape[1:]))
            dataset = self._file[self._blob]
            _check_alike(self._path, dataset.shape, rows)
            dataset.resize(self.rows + len(rows), axis=0)
            dataset[self.rows :] = rows
            self.rows += len(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with atomic_file.writing(self._path, DataError):
                self._file.close()
                if kind is None:
                    self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)


class NPZFeatures:
    """A NumPy archive with one array, named after the blob. Until the end its values are kept in an unnamed file."""

    rows = 0

    def __init__(self, path: Path, blob: str) -> None:
        self._path, self._blob = path, blob
        self._shape: tuple[int, ...] | None = None

    def __enter__(self) -> Self:
        with atomic_file.writing(self._path, DataError):
            self._values = tempfile.TemporaryFile(dir=self._path.parent)
        return self

    def write(self, rows: np.ndarray) -> None:
        if self._shape is not None:
            _check_alike(self._path, self._shape, rows)
        with atomic_file.writing(self._path, DataError):
            self._values.write(np.ascontiguousarray(rows, "<f4").data)
        self.rows += len(rows)
        self._shape = (self.rows, *rows.shape[1:])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.tmp")
        try:
            with atomic_file.writing(self._path, DataError), self._values:
                if kind is None:
                    self._pack(temporary)
                    temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)

    def _pack(self, path: Path) -> None:
        head = io.BytesIO()
        shape = self._shape or (0,)
        np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
        self._values.seek(0)
        with (
            zipfile.ZipFile(path, "x", allowZip64=True) as archive,
            archive.open(f"{self._blob}.npy", "w", force_zip64=True) as member,
        ):
            member.write(head.getvalue())
            while part := self._values.read(1 << 20):
                member.write(part)


def _check_alike(path: Path, kept: tuple[int, ...], rows: np.ndarray) -> None:
    if rows.shape[1:] != kept[1:]:
        raise DataError(
            f"{path}: a batch has rows of shape {list(rows.shape[1:])}, earlier ones of {list(kept[1:])}, but an array "
            "has rows of one shape. Give the net pictures of one size, or write an lmdb."
        )
