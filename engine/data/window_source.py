"""Batches of windows cut from pictures, for R-CNN: Caffe's WindowData layer."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engine.data.bad_records import BadRecords, GoodNumbers
from engine.data.datum import Colour, decode
from engine.data.image_source import read_file
from engine.data.rounding import round_half_away
from engine.data.source import Batch, State, check_labels, draws, position
from engine.data.spelt_numbers import finite, integer
from engine.data.transform import Transform
from engine.data.window_words import CORNERS, Words
from engine.errors import BadRecord, DataError
from engine.host import memory, workers
from engine.proto import caffe_pb2 as pb
from engine.proto import paths


@dataclass(frozen=True)
class Window:
    """A box in a picture, whose corner pixels belong to it, and the class of its contents; 0 is background."""

    picture: str
    label: int
    overlap: float
    x1: int
    y1: int
    x2: int
    y2: int


def read_windows(path: Path) -> tuple[int, int, list[Window]]:
    """A window file's number of channels, number of pictures, and all windows. Raises DataError naming the line.

    The file holds, for each picture: `# INDEX`, its path, its channels, height and width, the number of windows; and
    for each window: class, overlap, x1, y1, x2, y2.
    """
    words = Words(path)
    channels, pictures, windows = 0, 0, list[Window]()
    for picture, size in words.pictures():
        channels = size[0]
        pictures += 1
        for _ in range(words.count("the number of windows")):
            label, overlap = words.take(integer, "a window's class"), words.take(finite, "a window's overlap")
            windows.append(Window(picture, label, overlap, *(words.take(integer, what) for what in CORNERS)))
    if not windows:
        raise DataError(f"{path}: lists no windows.")
    return channels, pictures, windows


class WindowSource:
    """Draws random windows: first background, then objects, `fg_fraction` of the batch. Tops: pictures and classes.

    With `bad`, the next good windows of the same kind stand in for bad ones. `definition`: the prototxt that contains
    `param`, with its root_folder.
    """

    def __init__(
        self,
        source: Path,
        tops: Sequence[str],
        param: pb.WindowDataParameter,
        transform: Transform,
        seed: int,
        prefetch: int = 4,
        definition: str | None = None,
    ) -> None:
        self.source, self.tops, self.param, self.transform = source, tuple(tops), param, transform
        self.prefetch, self.definition = prefetch, definition
        self.channels, self.pictures, windows = read_windows(source)
        self.objects = [w for w in windows if w.overlap >= param.fg_threshold]
        self.background = [w for w in windows if w.overlap < min(param.fg_threshold, param.bg_threshold)]
        for window in self.objects:
            if window.label <= 0:
                raise DataError(f"{source}: an object of class {window.label} in {window.picture}; classes begin at 1.")
        if not 0 <= param.fg_fraction <= 1:
            raise DataError(f"fg_fraction is {param.fg_fraction:g}; it is the fraction of objects in a batch, 0 to 1.")
        count = int(np.float32(param.batch_size) * np.float32(param.fg_fraction))
        self._pools = [self.background] * (param.batch_size - count) + [self.objects] * count
        for pool, what in ((self.background, "background"), (self.objects, "an object")):
            if pool in self._pools and not pool:
                raise DataError(f"{source}: no window counts as {what} by fg_threshold and bg_threshold.")
        if self.channels != 3:
            raise DataError(
                f"{source}: lists pictures of {self.channels} channels; they are read in colour, so 3 are needed."
            )
        if transform.values.size not in (0, 1, self.channels):
            raise DataError(
                f"{source}: lists pictures of {self.channels} channels, and transform_param has "
                f"{transform.values.size} mean_value; give one, or one per channel."
            )
        if transform.mean is not None and len(transform.mean) != self.channels:
            raise DataError(
                f"mean_file: the mean has {len(transform.mean)} channels, and pictures have {self.channels}."
            )
        if transform.mean is not None and min(transform.mean.shape[1:]) < transform.crop:
            raise DataError(
                f"mean_file: the mean has shape {transform.mean.shape}, smaller than crop_size {transform.crop}."
            )
        self._seed, self._batches = seed, 0
        self._chosen: list[Window] = []
        self._files: dict[str, bytes] = {}
        self._cached = 0
        self._caching = threading.Lock()
        self.bad: BadRecords | None = None
        self._good = {id(pool): GoodNumbers(len(pool), f"the windows in {source}") for pool in self._pools}

    def shapes(self) -> list[tuple[int, ...]]:
        batch, crop = self.param.batch_size, self.transform.crop
        return [(batch, self.channels, crop, crop), (batch,)]

    def next(self) -> Batch:
        random = draws(self._seed, self._batches, self.param.batch_size)
        indices = [int(u * len(pool)) for pool, u in zip(self._pools, random[:, 0], strict=True)]
        flips = random[:, 1] < 0.5
        while True:
            numbers = [self._good[id(pool)].from_(n) for pool, n in zip(self._pools, indices, strict=True)]
            self._chosen = [pool[n] for pool, n in zip(self._pools, numbers, strict=True)]
            batch, faults = self._made(flips)
            if not faults:
                break
            for i, error in sorted(faults.items()):
                if self._good[id(self._pools[i])].leave_out(numbers[i]):
                    self._skip(error)
        self._batches += 1
        return batch

    def _skip(self, error: BadRecord) -> None:
        if self.bad is None:
            raise error
        self.bad.skip(error)

    def _made(self, flips: np.ndarray) -> tuple[Batch, dict[int, BadRecord]]:
        """The batch of the chosen windows, and the errors of those that are bad, by their index."""
        classes = [0 if pool is self.background else w.label for pool, w in zip(self._pools, self._chosen, strict=True)]
        data, labels = np.zeros(self.shapes()[0], np.float32), np.array(classes, np.float32)
        faults: dict[int, BadRecord] = {}

        def cut(i: int) -> None:
            try:
                self._cut(self._chosen[i], self.transform.mirror and bool(flips[i]), data[i], i)
                if self.bad is not None:
                    check_labels({self.tops[1]: labels[i : i + 1]}, self.bad.bounds, lambda _: self.record(i))
            except BadRecord as e:
                faults[i] = e

        workers.share(cut, len(data))
        return dict(zip(self.tops, (data, labels), strict=True)), faults

    def skip(self, batches: int) -> None:
        self._batches += batches

    def record(self, index: int) -> str:
        window = self._chosen[index]
        return f"{self.source}: window {window.x1} {window.y1} {window.x2} {window.y2} of {window.picture}"

    def state(self) -> State:
        return {"batches": self._batches, "seed": self._seed}

    def restore(self, state: State) -> None:
        self._batches, self._seed = position(state, "batches"), position(state, "seed")

    def close(self) -> None:
        """Nothing is held open between batches."""

    def _cut(self, window: Window, flip: bool, out: np.ndarray, index: int) -> None:
        """Warps a window and its context into `out` (channels, crop, crop); what is outside the picture stays 0."""
        try:
            if window.x2 < window.x1 or window.y2 < window.y1:
                raise DataError("ends before it begins")
            picture = self._picture(window.picture)
            place = _place(window, self.param, self.transform.crop, picture.shape[1:], flip)
            x1, y1, x2, y2, width, height, left, top = place
            inside = 0 <= x1 <= x2 < picture.shape[2] and 0 <= y1 <= y2 < picture.shape[1]
            if not (inside and width > 0 and height > 0):
                raise DataError(f"lies outside its picture, {'×'.join(map(str, picture.shape))}")
        except DataError as e:
            raise BadRecord(f"{self.record(index)}: {e}") from e
        patch = picture[:, y1 : y2 + 1, x1 : x2 + 1].transpose(1, 2, 0)
        warped = cv2.resize(np.ascontiguousarray(patch), (width, height))
        values = (cv2.flip(warped, 1) if flip else warped).transpose(2, 0, 1).astype(np.float32)
        at = np.s_[:, top : top + height, left : left + width]
        mean = self.transform.mean
        if mean is not None:
            off = (mean.shape[2] - self.transform.crop) // 2
            values -= mean[:, off + top : off + top + height, off + left : off + left + width]
        if self.transform.values.size:
            values -= self.transform.values[:, None, None]
        out[at] = values * self.transform.scale * np.float32(self.param.scale)

    def _picture(self, name: str) -> np.ndarray:
        """A picture; with cache_images its file is read once and kept in memory, still encoded, as in Caffe."""
        data = self._files.get(name)
        if data is None:
            data = read_file(paths.below(self.param.root_folder, name, self.source, self.definition))
        if self.param.cache_images:
            self._keep(name, data)
        return decode(data, Colour.COLOUR)

    def _keep(self, name: str, data: bytes) -> None:
        with self._caching:
            if name in self._files:
                return
            self._files[name] = data
            self._cached += len(data)
            if lacking := memory.lacking(self._cached):
                raise DataError(f"cache_images: what was read so far {lacking}. Leave cache_images out")


def _place(
    window: Window, param: pb.WindowDataParameter, crop: int, picture: tuple[int, ...], flip: bool
) -> tuple[int, int, int, int, int, int, int, int]:
    """The corners x1, y1, x2, y2 of the part to cut from a `picture` (height, width); the width and height to warp it
    to; and its offset in the crop, from the left and from the top.

    With `context_pad` p the window is enlarged so that, warped to `crop`, it has p pixels of context on each side.
    R. Girshick et al., "Rich feature hierarchies", 2014, appendix A.
    """
    x1, y1, x2, y2 = window.x1, window.y1, window.x2, window.y2
    if not param.context_pad and param.crop_mode != "square":
        return x1, y1, x2, y2, crop, crop, 0, 0
    grown = crop / (crop - 2 * param.context_pad)
    half_width, half_height = (x2 - x1 + 1) / 2, (y2 - y1 + 1) / 2
    centre_x, centre_y = x1 + half_width, y1 + half_height
    if param.crop_mode == "square":
        half_width = half_height = max(half_width, half_height)
    x1, x2, left, right, width = _clip(centre_x, half_width * grown, picture[1], crop)
    y1, y2, top, _, height = _clip(centre_y, half_height * grown, picture[0], crop)
    left = right if flip else left
    return x1, y1, x2, y2, min(width, crop - left), min(height, crop - top), left, top


def _clip(centre: float, half: float, size: int, crop: int) -> tuple[int, int, int, int, int]:
    """Along one axis: the first and last pixel inside the picture; and, once warped, the padding before and after it
    and its length."""
    first, last = round_half_away(centre - half), round_half_away(centre + half)
    scale = crop / (last - first + 1)
    before, behind = max(0, -first), max(0, last - size + 1)
    inside = last - behind - (first + before) + 1
    return (
        first + before,
        last - behind,
        round_half_away(before * scale),
        round_half_away(behind * scale),
        round_half_away(inside * scale),
    )
