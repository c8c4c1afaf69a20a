"""Batches from a list of picture files: Caffe's ImageData layer."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from engine.data import datum
from engine.data.bad_records import BadRecords, GoodNumbers
from engine.data.datum import Colour
from engine.data.list_source import ListSource
from engine.data.picture_list import PictureList
from engine.data.source import Batch, check_labels, draws, transformed
from engine.data.spelt_numbers import finite
from engine.data.transform import Transform, by
from engine.errors import BadRecord, DataError
from engine.host import memory, regular_file
from engine.proto import paths


def read_picture(path: Path, colour: Colour, size: tuple[int, int] | None = None) -> np.ndarray:
    """The uint8 picture (channels, height, width), resized to `size` (height, width) if that is given.

    Raises DataError, whose message continues after the picture's name.
    """
    return stretched(datum.decode(read_file(path), colour), size)


def stretched(picture: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """A picture (channels, height, width) resized to `size` (height, width), bilinearly; None leaves it as it is.

    Raises DataError, as `read_picture` does.
    """
    return picture if size is None else _resized(picture, size)


def scaled(picture: np.ndarray, factor: float) -> np.ndarray:
    """A picture (channels, height, width) with sides `factor` times as long, rounded.

    Pixels are sampled by `factor` itself, not by the ratio of the rounded sides. Raises DataError, as `read_picture`
    does.
    """
    height, width = (round(side * factor) for side in picture.shape[1:])
    return picture if factor == 1 else _resized(picture, (height, width), factor)


def _resized(picture: np.ndarray, size: tuple[int, int], factor: float = 0) -> np.ndarray:
    """`size`: the new height and width. `factor`: the scale to sample pixels by; 0 for the ratio of the sides."""
    if lacking := memory.lacking(len(picture) * size[0] * size[1]):
        raise DataError(f"stretched to {by(size)} it {lacking}")
    try:
        resized = cv2.resize(picture.transpose(1, 2, 0), None if factor else size[::-1], fx=factor, fy=factor)
    except (cv2.error, OverflowError) as e:
        raise DataError(f"OpenCV cannot stretch it to {by(size)}") from e
    return resized[None] if resized.ndim == 2 else resized.transpose(2, 0, 1)


def read_file(path: Path) -> bytes:
    """The contents of a picture's file. Raises DataError, whose message continues after the picture's name."""
    try:
        return regular_file.read(path)
    except OSError as e:
        raise DataError(f"cannot be read: {e.strerror}") from e


class ImageSource(ListSource):
    """Reads the pictures of a list again and again, with `shuffle` in a new random order each time.

    Starts at a random one of the first `rand_skip` lines. Tops: the pictures, and their labels: (batch_size,), or
    (batch_size, num_labels) for several per picture. With `bad`, the next good lines stand in for bad ones.
    `definition`: the prototxt that gives `root_folder`.
    """

    def __init__(
        self,
        source: Path,
        tops: Sequence[str],
        batch_size: int,
        transform: Transform,
        seed: int,
        *,
        root_folder: str = "",
        definition: str | None = None,
        colour: Colour = Colour.COLOUR,
        size: tuple[int, int] | None = None,
        shuffle: bool = False,
        rand_skip: int = 0,
        num_labels: int = 0,
        prefetch: int = 4,
    ) -> None:
        self.source, self.tops, self.transform = source, tuple(tops), transform
        self.root_folder, self.definition, self.prefetch = root_folder, definition, prefetch
        self.colour, self.size = colour, size
        self.lines = PictureList(source, num_labels)
        super().__init__(source, len(self.lines), batch_size, seed, shuffle=shuffle, rand_skip=rand_skip)
        self.bad: BadRecords | None = None
        self._good = GoodNumbers(len(self.lines), f"the pictures that {source} lists")

    def shapes(self) -> list[tuple[int, ...]]:
        (index,) = self._lines(0, 1)
        lines = range(index, index + (len(self.lines) if self.bad else 1))
        first = None
        for line in lines:
            try:
                shape = self._shape(line % len(self.lines))
            except BadRecord as e:
                first = first or e
            else:
                return [(self.batch_size, *shape), (self.batch_size, *self.lines.labels([0]).shape[1:])][
                    : len(self.tops)
                ]
        assert first
        raise first

    def next(self) -> Batch:
        self._choose()
        batch = self._made() if self.bad is None else self._made_of_good(self.bad)
        self._batches += 1
        return batch

    def _made(self) -> Batch:
        pictures = [partial(self._read, index) for index in self._chosen]
        random = draws(self._seed, self._batches, self.batch_size)
        values = transformed(pictures, self.record, self.transform, random), self.lines.labels(self._chosen)
        return dict(zip(self.tops, values, strict=False))

    def _made_of_good(self, bad: BadRecords) -> Batch:
        """A batch in which the next good line stands in for each bad one: the same after a resume and on every rank."""
        lines = self._chosen
        self._chosen = list(map(self._good.from_, lines))
        try:
            batch = self._made()
            check_labels(batch, bad.bounds, self.record)
        except BadRecord:
            self._find_bad(bad)
            self._chosen = list(map(self._good.from_, lines))
            return self._made()
        return batch

    def _find_bad(self, bad: BadRecords) -> None:
        """Finds the bad lines among those of the batch and those that stand in for them, until all are good."""
        expected = self.shapes()[0][1:]
        for index in self._chosen:
            line = self._good.from_(index)
            while (error := self._fault(line, expected, bad)) is not None:
                self._good.leave_out(line)
                bad.skip(error)
                line = self._good.from_(line)

    def _fault(self, line: int, expected: tuple[int, ...], bad: BadRecords) -> BadRecord | None:
        """What is wrong with a line, if anything; `expected`: the shape that its transformed picture must have."""
        try:
            shape = self._shape(line)
            if shape != expected:
                return BadRecord(f"{self._name(line)}: is {by(shape)} and the others {by(expected)}")
            labels = dict.fromkeys(self.tops[1:], self.lines.labels([line]))
            check_labels(labels, bad.bounds, lambda index: self._name(line))
        except BadRecord as e:
            return e
        return None

    def _shape(self, index: int) -> tuple[int, ...]:
        try:
            return self.transform.shape(self._read(index).shape)
        except DataError as e:
            raise BadRecord(f"{self._name(index)}: {e}") from e

    def _read(self, index: int) -> np.ndarray:
        name, _ = self.lines[index]
        try:
            path = paths.below(self.root_folder, name, self.source, self.definition)
            return read_picture(path, self.colour, self.size)
        except DataError as e:
            if finite(name.rpartition(" ")[2]) is None:
                raise
            raise DataError(f"{e}. If lines have several labels, num_labels must say how many") from e

    def _name(self, index: int) -> str:
        return f"{self.source}: {self.root_folder}{self.lines[index][0]}"
