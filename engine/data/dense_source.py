"""Batches of pictures with a label for each pixel: DenseImageData, ImageSegData, ImageLabelmapData."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engine.data import datum
from engine.data.datum import Colour
from engine.data.image_source import read_file, read_picture
from engine.data.list_source import ListSource
from engine.data.picture_list import read_lines
from engine.data.source import Batch
from engine.data.spelt_numbers import integer
from engine.data.transform import by
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.proto import paths

WHITE = 255


class PairList:
    """The pictures of a list with their labels, which come from a second file (PIXEL), from one number for the whole
    picture (IMAGE), or are all `ignored` (NONE).

    Raises DataError for a list that cannot be read or has no pictures, and for a line that does not hold what `kind`
    needs. `definition`: the prototxt that gives `root_folder`. With `edges` a label is 1 where the second file is
    nearer to white than to black, and 0 elsewhere (HED).
    """

    def __init__(
        self,
        source: Path,
        root_folder: str = "",
        kind: str = "PIXEL",
        ignored: int = 255,
        definition: str | None = None,
        edges: bool = False,
    ) -> None:
        self.source, self.root_folder, self.definition = source, root_folder, definition
        self.kind, self.ignored, self.edges = kind, ignored, edges
        self._lines: list[tuple[str, str]] = []
        for number, line in enumerate(read_lines(source), start=1):
            if words := line.strip().rsplit(None, 1 if kind != "NONE" else 0):
                self._lines.append(self._pair(number, words))
        if not self._lines:
            raise DataError(f"{source}: lists no pictures; each line holds {self._form()}.")

    def __len__(self) -> int:
        return len(self._lines)

    def name(self, index: int) -> str:
        """The name of a picture in messages."""
        return f"{self.source}: {self.root_folder}{self._lines[index][0]}"

    def read(self, index: int, colour: Colour, size: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
        """The uint8 picture (channels, height, width), resized to `size`, and its labels (height, width).

        Raises DataError, whose message continues after the picture's name.
        """
        first, second = self._lines[index]
        picture = read_picture(self._path(first), colour, size)
        if self.kind != "PIXEL":
            return picture, np.full(picture.shape[1:], int(second) if self.kind == "IMAGE" else self.ignored, np.int32)
        try:
            labels = datum.decode(read_file(self._path(second)), Colour.GREY)[0]
        except DataError as e:
            raise DataError(f"its labels, {self.root_folder}{second}: {e}") from e
        if size is not None:
            how = cv2.INTER_LINEAR if self.edges else cv2.INTER_NEAREST
            labels = cv2.resize(labels, size[::-1], interpolation=how)
        if self.edges:
            labels = labels > WHITE // 2
        if labels.shape != picture.shape[1:]:
            raise DataError(
                f"is {by(picture.shape[1:])} and its labels, {self.root_folder}{second}, {by(labels.shape)}; they must "
                "have one size"
            )
        return picture, labels.astype(np.int32)

    def _path(self, name: str) -> Path:
        return paths.below(self.root_folder, name, self.source, self.definition)

    def _pair(self, number: int, words: Sequence[str]) -> tuple[str, str]:
        first, second = words[0], words[1] if len(words) > 1 else ""
        if (self.kind != "NONE" and not second) or (self.kind == "IMAGE" and integer(second) is None):
            raise DataError(f'{self.source}:{number}: "{" ".join(words)}" is not {self._form()}.')
        return first, second

    def _form(self) -> str:
        second = {"PIXEL": ", a blank and the file of its labels", "IMAGE": ", a blank and a label", "NONE": ""}
        return f"a file name{second[self.kind]}"


@dataclass(frozen=True)
class DenseCut:
    """Transforms a picture and its labels: resize, pad, crop, mirror; and for the picture, mean and scale.

    crop: height and width, at a random place if `anywhere`, otherwise in the centre. fill: the label of padding; None
    if a picture smaller than the crop is an error. factors: the scales to choose from at random. Raises DataError for
    parameters that do not apply to such pictures.
    """

    param: pb.TransformationParameter
    crop: tuple[int, int] | None
    anywhere: bool
    mirror: bool
    fill: int | None = None
    factors: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for field in ("mean_file", "augmentation"):
            if self.param.HasField(field):
                raise DataError(f"transform_param: {field} is not for pictures with a label per pixel; leave it out.")
        if any(not 0 < factor <= 100 for factor in self.factors):
            raise DataError(f"transform_param: scale_factors {list(self.factors)} must lie between 0 and 100.")

    def __call__(self, picture: np.ndarray, labels: np.ndarray, u: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """The transformed float32 picture (channels, height, width) and labels (1, height, width).

        u: four uniform numbers in [0, 1) that decide on mirroring, top, left, factor. Raises DataError for a picture
        that does not fit the parameters.
        """
        channels = len(picture)
        mean = np.array(self.param.mean_value, np.float32)
        if mean.size not in (0, 1, channels):
            raise DataError(
                f"has {channels} channels and transform_param has {mean.size} mean_value; give one, or {channels}"
            )
        if self.factors:
            picture, labels = _stretched(picture, labels, self.factors[int(u[3] * len(self.factors))])
        value = (picture.astype(np.float32) - mean.reshape(-1, 1, 1)) if mean.size else picture.astype(np.float32)
        if self.crop is not None:
            value, labels = self._cropped(value, labels, u)
        if self.mirror and u[0] < 0.5:
            value, labels = value[:, :, ::-1], labels[:, ::-1]
        return value * np.float32(self.param.scale), labels[None].astype(np.float32)

    def _cropped(self, value: np.ndarray, labels: np.ndarray, u: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        assert self.crop is not None
        lacking = [max(0, c - d) for c, d in zip(self.crop, labels.shape, strict=True)]
        if any(lacking):
            if self.fill is None:
                raise DataError(f"is {by(labels.shape)}, smaller than the crop of {by(self.crop)}")
            ends = [(0, n) for n in lacking]
            value = np.pad(value, [(0, 0), *ends])  # 0 stands for the mean, which is subtracted already
            labels = np.pad(labels, ends, constant_values=self.fill)
        spare = [d - c for c, d in zip(self.crop, labels.shape, strict=True)]
        top, left = [int(at * (n + 1)) if self.anywhere else n // 2 for at, n in zip(u[1:3], spare, strict=True)]
        rows, columns = slice(top, top + self.crop[0]), slice(left, left + self.crop[1])
        return value[:, rows, columns], labels[rows, columns]


def _stretched(picture: np.ndarray, labels: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Both resized by `factor`: the picture with interpolation, the labels without."""
    size = [max(1, round(d * factor)) for d in labels.shape]
    larger = cv2.resize(picture.transpose(1, 2, 0), size[::-1])
    larger = larger[None] if larger.ndim == 2 else larger.transpose(2, 0, 1)
    return larger, cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)


class DenseSource(ListSource):
    """Reads the pairs of a list again and again, with `shuffle` in a new random order each time.

    Starts at a random one of the first `rand_skip` lines. Tops: pictures; labels, divided by `divisor` and rounded
    down; and the pictures' heights and widths, limited to those of the top.
    """

    def __init__(
        self,
        pairs: PairList,
        tops: Sequence[str],
        batch_size: int,
        cut: DenseCut,
        seed: int,
        *,
        colour: Colour = Colour.COLOUR,
        size: tuple[int, int] | None = None,
        shuffle: bool = False,
        rand_skip: int = 0,
        divisor: int = 1,
        prefetch: int = 4,
    ) -> None:
        self.pairs, self.tops, self.cut = pairs, tuple(tops), cut
        self.colour, self.size, self.divisor, self.prefetch = colour, size, divisor, prefetch
        super().__init__(pairs.source, len(pairs), batch_size, seed, shuffle=shuffle, rand_skip=rand_skip)

    def shapes(self) -> list[tuple[int, ...]]:
        picture, labels, size = self._make(self._lines(0)[0], [0.0] * 4)
        return [(self.batch_size, *v.shape) for v in (picture, labels, size)][: len(self.tops)]

    def next(self) -> Batch:
        self._choose()
        random = np.random.default_rng((self._seed, self._batches)).random((self.batch_size, 4))
        items = [self._make(index, u) for index, u in zip(self._chosen, random.tolist(), strict=True)]
        for index, (picture, *_) in zip(self._chosen, items, strict=True):
            if picture.shape != items[0][0].shape:
                raise DataError(
                    f"{self._name(index)}: is {by(picture.shape)} (channels × height × width) and the first of its "
                    f"batch is {by(items[0][0].shape)}. Give new_height and new_width, a crop, or batch_size: 1."
                )
        self._batches += 1
        return dict(zip(self.tops, map(np.stack, zip(*items, strict=True)), strict=False))

    def _name(self, line: int) -> str:
        return self.pairs.name(line)

    def _make(self, index: int, u: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        try:
            picture, labels = self.pairs.read(index, self.colour, self.size)
            size = picture.shape[1:]
            value, labels = self.cut(picture, labels // self.divisor, u)
        except DataError as e:
            raise DataError(f"{self._name(index)}: {e}") from e
        extent = np.minimum(size, value.shape[1:]).astype(np.float32)
        return value, labels, extent.reshape(1, 1, 2)
