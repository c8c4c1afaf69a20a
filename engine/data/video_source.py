"""Batches of snippets of videos, whose frames are pictures in folders: VideoData of temporal segment networks (Wang et
al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engine.data.datum import Colour
from engine.data.image_source import read_picture
from engine.data.list_source import ListSource
from engine.data.picture_list import read_lines
from engine.data.source import Batch
from engine.data.spelt_numbers import integer
from engine.data.transform import by
from engine.errors import BadRecord, DataError
from engine.host import workers
from engine.proto import caffe_pb2 as pb
from engine.proto import frame_names, paths

RATIOS = (1.0, 0.875, 0.75, 0.66)
"""The default scale_ratios: sides of the crops of multi_scale, as fractions of the frame's shorter side."""

NEAR = 3
"""A crop side that differs from crop_size by less than these pixels becomes crop_size."""

PLACES = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
"""Offsets of the crops of fix_crop, in quarters of the spare room: the corners and the middle."""

MORE_PLACES = (*PLACES, (0, 2), (4, 2), (2, 0), (2, 4), (1, 1), (1, 3), (3, 1), (3, 3))


@dataclass(frozen=True)
class Video:
    """A line of a list: the folder of its frames, how many there are, its label."""

    folder: str
    frames: int
    label: int


def read_videos(path: Path) -> list[Video]:
    """The videos of a list with lines `FOLDER FRAMES LABEL`. Raises DataError."""
    videos = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        words = line.strip().rsplit(None, 2)
        frames, label = (integer(word) for word in words[1:]) if len(words) == 3 else (None, None)
        if frames is None or label is None or frames < 1:
            raise DataError(
                f'{path}:{number}: "{line.strip()}" is not a folder, its number of frames (1 or more) and a label, '
                "separated by blanks."
            )
        videos.append(Video(words[0], frames, label))
    if not videos:
        raise DataError(f"{path}: lists no videos; each line holds a folder, its number of frames and a label.")
    return videos


@dataclass(frozen=True)
class VideoCut:
    """Transforms all frames of a snippet in the same way: crop, resize, mirror; then mean and scale.

    In TRAIN (`random`) the crop is at a random place, or at one of a few places (fix_crop), and has one of several
    sizes (multi_scale), from which it is resized to crop_size. When flow is mirrored (is_flow), its x component, every
    second channel, is inverted: 255 − x. Raises DataError for parameters that do not apply to videos.
    """

    param: pb.TransformationParameter
    random: bool

    def __post_init__(self) -> None:
        p = self.param
        for field in ("mean_file", "augmentation"):
            if p.HasField(field):
                raise DataError(f"transform_param: {field} is not for videos; leave it out, or give mean_value.")
        if p.multi_scale and not p.crop_size:
            raise DataError("transform_param: multi_scale needs crop_size.")
        if any(not 0 < ratio <= 1 for ratio in p.scale_ratios):
            raise DataError(f"transform_param: scale_ratios {list(p.scale_ratios)} must lie above 0, and be 1 at most.")

    def __call__(self, frames: np.ndarray, u: Sequence[float]) -> np.ndarray:
        """Transforms uint8 frames, concatenated along the first axis, to float32 (channels, height, width).

        u: four uniform numbers in [0, 1) that decide on mirroring, size, top or place, left. Raises DataError for
        frames that do not fit the parameters.
        """
        p = self.param
        mirrored = p.mirror and u[0] < 0.5
        values = (self._cropped(frames, u) if p.crop_size else frames).astype(np.float32)
        if mirrored:
            values = values[:, :, ::-1]
            if p.is_flow:
                values[::2] = 255 - values[::2]
        if p.mean_value:
            if len(frames) % len(p.mean_value):
                raise DataError(
                    f"has {len(frames)} channels in all frames together, and transform_param has {len(p.mean_value)} "
                    "mean_value; give one, or a number that divides the channels"
                )
            mean = np.array(p.mean_value, np.float32)
            values = values - np.tile(mean, len(frames) // len(mean))[:, None, None]
        return values * np.float32(p.scale)

    def _cropped(self, frames: np.ndarray, u: Sequence[float]) -> np.ndarray:
        side, (height, width) = self.param.crop_size, frames.shape[1:]
        if min(height, width) < side:
            raise DataError(f"is {height}×{width}, smaller than crop_size {side}")
        if not self.random:
            top, left = (height - side) // 2, (width - side) // 2
            return frames[:, top : top + side, left : left + side]
        sizes = crop_sizes(self.param, (height, width)) if self.param.multi_scale else [(side, side)]
        rows, columns = sizes[int(u[1] * len(sizes))]
        spare = height - rows, width - columns
        if self.param.fix_crop:
            places = MORE_PLACES if self.param.more_fix_crop else PLACES
            top, left = (n * (d // 4) for n, d in zip(places[int(u[2] * len(places))], spare, strict=True))
        else:
            top, left = (int(at * (d + 1)) for at, d in zip(u[2:4], spare, strict=True))
        part = frames[:, top : top + rows, left : left + columns]
        if (rows, columns) == (side, side):
            return part
        return np.stack([cv2.resize(np.ascontiguousarray(plane), (side, side)) for plane in part])


def crop_sizes(p: pb.TransformationParameter, frame: tuple[int, int]) -> list[tuple[int, int]]:
    """The heights and widths of the crops of multi_scale: pairs of ratios at most `max_distort` steps apart."""
    ratios = np.array(p.scale_ratios or RATIOS, np.float32)
    sides = [int(side) for side in np.float32(min(frame)) * ratios]
    sides = [p.crop_size if abs(side - p.crop_size) < NEAR else max(1, side) for side in sides]
    return [(h, w) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= p.max_distort]


class VideoSource(ListSource):
    """Reads snippets of the videos of a list again and again, with `shuffle` in a new random order each time.

    A video is divided into num_segments equal segments, and new_length consecutive frames of each are read: at a random
    place in TRAIN (`cut.random`), otherwise in the middle; if segments are shorter than that, from the video's first
    frame. Tops: the channels of all frames (batch_size, channels, height, width), for RGB 3 per frame (1 with
    grayscale), for FLOW x and y; and labels (batch_size, 1, 1, 1).
    """

    prefetch = 4

    def __init__(
        self,
        source: Path,
        tops: Sequence[str],
        p: pb.VideoDataParameter,
        cut: VideoCut,
        seed: int,
        definition: str | None = None,
    ) -> None:
        self.source, self.tops, self.p, self.cut, self.definition = source, tuple(tops), p, cut, definition
        self.videos = read_videos(source)
        frame_names.names(p, 1)
        self.colour = Colour.GREY if p.grayscale or p.modality == p.FLOW else Colour.COLOUR
        super().__init__(source, len(self.videos), p.batch_size, seed, shuffle=p.shuffle, rand_skip=p.rand_skip)

    def shapes(self) -> list[tuple[int, ...]]:
        item = self._make(self._lines(0)[0], [0.0] * (4 + self.p.num_segments))
        return [(self.p.batch_size, *item.shape), (self.p.batch_size, 1, 1, 1)][: len(self.tops)]

    def next(self) -> Batch:
        self._choose()
        size = self.p.batch_size
        random = np.random.default_rng((self._seed, self._batches)).random((size, 4 + self.p.num_segments)).tolist()
        items: list[np.ndarray] = [np.empty(0)] * size

        def work(i: int) -> None:
            items[i] = self._make(self._chosen[i], random[i])

        workers.share(work, size)
        for i, values in enumerate(items):
            if values.shape != items[0].shape:
                raise BadRecord(
                    f"{self.record(i)}: is {by(values.shape)} (channels × height × width) and the first of its batch "
                    f"is {by(items[0].shape)}. Give new_height and new_width, crop_size, or batch_size: 1."
                )
        self._batches += 1
        labels = np.array([self.videos[line].label for line in self._chosen], np.float32).reshape(-1, 1, 1, 1)
        return dict(zip(self.tops, (np.stack(items), labels), strict=False))

    def _name(self, line: int) -> str:
        return f"{self.source}: {self.p.root_folder}{self.videos[line].folder}"

    def _make(self, line: int, u: Sequence[float]) -> np.ndarray:
        video, size = self.videos[line], (self.p.new_height, self.p.new_width) if self.p.new_height else None
        planes: list[np.ndarray] = []
        try:
            folder = paths.below(self.p.root_folder, video.folder, self.source, self.definition)
            for first in starts(video.frames, self.p, u[4:] if self.cut.random else None):
                for frame in range(first, first + self.p.new_length):
                    for name in frame_names.names(self.p, frame):
                        planes.append(self._read(folder / name, size, planes))
            return self.cut(np.concatenate(planes), u)
        except DataError as e:
            raise BadRecord(f"{self._name(line)}: {e}") from e

    def _read(self, path: Path, size: tuple[int, int] | None, before: list[np.ndarray]) -> np.ndarray:
        try:
            picture = read_picture(path, self.colour, size)
        except DataError as e:
            raise DataError(f"its frame {path.name} {e}") from e
        if before and picture.shape != before[0].shape:
            raise DataError(
                f"its frame {path.name} is {by(picture.shape)} and the first {by(before[0].shape)}; give new_height "
                "and new_width"
            )
        return picture


def starts(frames: int, p: pb.VideoDataParameter, u: Sequence[float] | None) -> list[int]:
    """The first frame, counted from 1, to read of each segment: as uniform numbers in [0, 1) say, or in the middle."""
    part = frames // p.num_segments
    spare = part - p.new_length
    if spare < 0:
        return [1] * p.num_segments
    within = [(spare + 1) // 2] * p.num_segments if u is None else [int(each * (spare + 1)) for each in u]
    return [1 + i * part + at for i, at in enumerate(within)]
