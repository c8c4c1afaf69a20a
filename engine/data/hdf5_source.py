"""Batches from HDF5 files: Caffe's HDF5Data layer."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np

from engine.data import hdf5_file, mat_file
from engine.data.picture_list import read_lines
from engine.data.source import Batch, State, draws, position, shuffled, transformed
from engine.data.transform import Transform
from engine.errors import DataError
from engine.host import regular_file
from engine.proto import paths


class HDF5Source:
    """Reads the rows of the files in a list again and again; each top is the dataset of the same name, as float32.

    MATLAB's files are read like HDF5 files. One file is in memory at a time. With `shuffle` the files, and the rows
    within each, come in a new random order in every pass. `transforms`, by top, are for tops of pictures (batch_size,
    channels, height, width); all of them use the same random numbers.
    """

    prefetch = 4

    def __init__(
        self,
        source: Path,
        tops: Sequence[str],
        batch_size: int,
        seed: int,
        *,
        shuffle: bool = False,
        transforms: Mapping[str, Transform] | None = None,
    ) -> None:
        self.source, self.tops, self.batch_size, self.shuffle = source, tuple(tops), batch_size, shuffle
        self.transforms = transforms or {}
        named = _read_list(source)
        self.files = [paths.resolve(line, source) for _, line in named]
        for path, (line, _) in zip(self.files, named, strict=True):
            if not regular_file.exists(path):
                raise DataError(f"{source}:{line}: {path}: no such file, from here or beside the list.")
        if not self.files:
            raise DataError(f"{source}: lists no HDF5 files; give one per line.")
        self._seed = seed
        self._opened = 0
        self._row = 0
        # The runs of rows in the last batch: each one's start there, its file's number, its first row, the file's rows.
        self._parts: list[tuple[int, int, int, int]] = []
        self._row_shapes: dict[str, tuple[Path, tuple[int, ...]]] = {}
        self._loaded: Path | None = None
        self._data: dict[str, np.ndarray] = {}
        self._load()

    def shapes(self) -> list[tuple[int, ...]]:
        return [(self.batch_size, *self._shape_of(top)) for top in self.tops]

    def _shape_of(self, top: str) -> tuple[int, ...]:
        row = self._data[top].shape[1:]
        if top not in self.transforms:
            return row
        if len(row) != 3:
            raise DataError(
                f'{self._file(self._opened)}: the rows of dataset "{top}" have shape {list(row)}, and are to be '
                "transformed: that is for pictures, of channels, height and width."
            )
        try:
            return self.transforms[top].shape(row)
        except DataError as e:
            raise DataError(f'{self._file(self._opened)}: a row of dataset "{top}" {e}') from e

    def next(self) -> Batch:
        batch: Batch = {top: np.empty((self.batch_size, *self._data[top].shape[1:]), np.float32) for top in self.tops}
        self._parts, filled = [], 0
        random = draws(self._seed, (self._opened << 32) + self._row, self.batch_size)
        for rows in self._runs(self.batch_size):
            chosen = slice(rows.start, rows.stop)
            for top, value in self._data.items():
                batch[top][filled : filled + len(rows)] = value[self._order[chosen] if self.shuffle else chosen]
            self._parts.append((filled, self._opened, rows.start, len(self._data[self.tops[0]])))
            filled += len(rows)
        for top, transform in self.transforms.items():
            pictures = [partial(batch[top].__getitem__, i) for i in range(self.batch_size)]
            batch[top] = transformed(pictures, self.record, transform, random)
        return batch

    def skip(self, batches: int) -> None:
        for _ in self._runs(batches * self.batch_size):
            pass

    def _runs(self, remaining: int) -> Iterator[range]:
        """Yields the next `remaining` rows as ranges: those of the file in memory, then of the next file, and so on."""
        while remaining:
            rows = len(self._data[self.tops[0]])
            if self._row == rows:
                self._opened, self._row = self._opened + 1, 0
                self._load()
                continue
            run = range(self._row, min(self._row + remaining, rows))
            remaining -= len(run)
            self._row = run.stop
            yield run

    def record(self, index: int) -> str:
        first, opened, row, rows = self._parts[bisect_right(self._parts, index, key=itemgetter(0)) - 1]
        row += index - first
        return f"{self._file(opened)}: row {shuffled(self._seed, opened, rows)[row] if self.shuffle else row}"

    def state(self) -> State:
        return {"opened": self._opened, "row": self._row, "seed": self._seed}

    def restore(self, state: State) -> None:
        self._opened, self._row, self._seed = (position(state, name) for name in ("opened", "row", "seed"))
        self._load()
        if self._row > len(self._data[self.tops[0]]):
            raise DataError(
                f"{self._file(self._opened)}: has fewer than the {self._row} rows already read of it: has it changed?"
            )

    def close(self) -> None:
        """Nothing is held open between files."""

    def _file(self, opened: int) -> Path:
        epoch, place = divmod(opened, len(self.files))
        return self.files[shuffled(self._seed, epoch, len(self.files))[place] if self.shuffle else place]

    def _load(self) -> None:
        """Loads the current file's arrays, and with `shuffle` the order of its rows. A lone file is read only once."""
        path = self._file(self._opened)
        if path != self._loaded:
            self._data, self._loaded = {}, None  # frees the memory first, so that two files are never held
            self._data, self._loaded = self._read(path), path
        if self.shuffle:
            self._order = shuffled(self._seed, self._opened, len(self._data[self.tops[0]]))

    def _read(self, path: Path) -> dict[str, np.ndarray]:
        with mat_file.opened(path, DataError) as file:
            shapes = {top: self._shape(file, top) for top in self.tops}
            self._check(path, shapes)
            return {top: file.numbers(top) for top in self.tops}

    def _shape(self, file: mat_file.Arrays, top: str) -> tuple[int, ...]:
        shape = file.shape(top)
        if shape is None:
            raise file.wrong(f'has no dataset "{top}", a top of the layer; it has {hdf5_file.named(file.members())}.')
        if not shape:
            raise file.wrong(f'dataset "{top}" of shape () is not an array of numbers.')
        return shape

    def _check(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        rows = {top: shape[0] for top, shape in shapes.items()}
        if len(set(rows.values())) > 1 or 0 in rows.values():
            counts = ", ".join(f"{top} {n}" for top, n in rows.items())
            last = " MATLAB's last dimension counts them." if path.suffix == ".mat" else ""
            raise DataError(f"{path}: its datasets need the same number of rows, 1 or more; they have: {counts}.{last}")
        for top, shape in shapes.items():
            first, expected = self._row_shapes.setdefault(top, (path, shape[1:]))
            if shape[1:] != expected:
                raise DataError(
                    f'{path}: the rows of dataset "{top}" have shape {list(shape[1:])}, and those of {first} '
                    f"{list(expected)}; all files of {self.source} need the same."
                )


def _read_list(source: Path) -> list[tuple[int, str]]:
    """The file names in a list, each with the number of its line.

    Raises DataError, with a message of its own if `source` is itself a data file instead of a list.
    """
    if source.suffix == ".mat" or hdf5_file.is_hdf5(source):
        kind = "a MATLAB" if source.suffix == ".mat" else "an HDF5"
        raise DataError(
            f"{source}: is {kind} file, and `source` names a list of such files: a text file with one name a line. "
            f"Write {source.name} into one, and name that."
        )
    return [(number, name) for number, line in enumerate(read_lines(source), 1) for name in paths.listed(line, source)]
