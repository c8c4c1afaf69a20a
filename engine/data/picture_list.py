"""Lists of picture files, one per line: a name, a blank and a label. Kept as text and indexed by compact arrays."""

import hashlib
import io
import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from engine.data.spelt_numbers import finite, integer
from engine.errors import DataError
from engine.host import regular_file


class PictureList(Sequence[tuple[str, int]]):
    """The (file name, label) pairs of a list, extracted from its text when they are requested.

    The label follows the last blank of a line. If no line has a label, all labels are 0, as in Caffe. Empty lines are
    skipped. Raises DataError for a file that cannot be read or is not text, for one without pictures, and for a line
    without a label in a list where others have one, or with something else in its place.

    With `num_labels` each line ends in that many numbers, which `labels` returns; the label in the pairs is then 0.
    """

    def __init__(self, path: Path, num_labels: int = 0) -> None:
        self.path, self.num_labels = path, num_labels
        self._text = read_text(path)
        self._starts, self._numbers, self._labels = array("Q"), array("Q"), array("i")
        self._values = array("f")
        bare = None if num_labels else self._index()
        if num_labels:
            self._index_values()
        if not self._starts:
            raise DataError(f"{path}: lists no pictures; each line holds a file name, a blank and a label.")
        self.labelled = bare is None
        if bare and bare[1] < len(self._starts):
            raise self._wrong(*bare[::2])

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> tuple[str, int]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, int]]: ...
    def __getitem__(self, index: int | slice) -> tuple[str, int] | list[tuple[str, int]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = self._starts[index]
        end = self._text.find(b"\n", start)
        line = self._text[start : end if end >= 0 else None].strip()
        if self.num_labels:
            return os.fsdecode(line.rsplit(None, self.num_labels)[0]), 0
        name = line.rpartition(b" ")[0].strip() if self.labelled else line
        return os.fsdecode(name), self._labels[index]

    def labels(self, indices: Sequence[int]) -> np.ndarray:
        """The labels of some pictures, float32: (n,), or (n, num_labels) if each has several."""
        if not self.num_labels:
            return np.frombuffer(self._labels, np.int32)[indices].astype(np.float32)
        values = np.frombuffer(self._values, np.float32)
        return (values.reshape(-1, self.num_labels) if self.num_labels > 1 else values)[indices]

    def line(self, index: int) -> int:
        """The number of a picture's line in the file, counted from 1."""
        return self._numbers[index]

    def digest(self) -> str:
        """SHA-256 of the list's text, to tell whether it has changed."""
        return hashlib.sha256(self._text).hexdigest()

    def _index(self) -> tuple[int, int, bytes] | None:
        """Records where the lines begin, and their labels.

        If lines without a label exist, returns the number of the first, how many there are, and the text of the first.
        """
        at, without, first = 0, 0, None
        for number, line in enumerate(io.BytesIO(self._text), start=1):
            start, at = at, at + len(line)
            if not (words := line.strip()):
                continue
            name, _, word = words.rpartition(b" ")
            label = integer(word)
            if not name and label is None:
                without += 1
                first = first or (number, words)
            elif not name or label is None:
                raise self._wrong(number, words)
            self._starts.append(start)
            self._numbers.append(number)
            self._labels.append(label or 0)
        return first and (first[0], without, first[1])

    def _index_values(self) -> None:
        """Records where the lines begin, and the numbers that they end in."""
        at = 0
        for number, line in enumerate(io.BytesIO(self._text), start=1):
            start, at = at, at + len(line)
            if not line.strip():
                continue
            values = [finite(word) for word in line.split()[1:][-self.num_labels :]]
            finite_values = [value for value in values if value is not None]
            if len(finite_values) < self.num_labels:
                raise DataError(
                    f'{self.path}:{number}: "{os.fsdecode(line.strip())}" is not a file name and {self.num_labels} '
                    "(num_labels) finite numbers."
                )
            self._starts.append(start)
            self._numbers.append(number)
            self._values.extend(finite_values)

    def _wrong(self, number: int, line: bytes) -> DataError:
        return DataError(
            f'{self.path}:{number}: "{os.fsdecode(line)}" is not a file name, a blank and a label (an integer; for '
            "fractions or several numbers, num_labels must say how many)."
        )


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file. Names in it may be any bytes except zero (`os.fsdecode`). Raises DataError."""
    return (os.fsdecode(line.removesuffix(b"\n")) for line in io.BytesIO(read_text(path)))


def read_text(path: Path) -> bytes:
    """The contents of a text file. Raises DataError."""
    try:
        data = regular_file.read(path)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from e
    if b"\0" in data:
        raise DataError(f"{path}: not a text file (a zero at byte {data.index(0)}).")
    return data
