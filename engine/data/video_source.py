"""Batches of pieces of videos whose frames lie as pictures in folders: VideoData of temporal segment networks
(Wang et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engine.data.datum import Colour
from engine.data.image_source import read_picture
from engine.data.list_source import ListSource
from engine.data.picture_list import integer, read_lines
from engine.data.source import Batch
from engine.data.transform import by
from engine.errors import BadRecord, DataError
from engine.host import workers
from engine.proto import caffe_pb2 as pb
from engine.proto import frame_names, paths

RATIOS = (1.0, 0.875, 0.75, 0.66)
"""Sides of the crops of several scales, as parts of the frame's shorter one, where scale_ratios gives none."""

NEAR = 3
"""A crop whose side differs by less from crop_size has crop_size."""

PLACES = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
"""Where the crops of fix_crop lie, in quarters of what is to spare: the corners and the middle."""

MORE_PLACES = (*PLACES, (0, 2), (4, 2), (2, 0), (2, 4), (1, 1), (1, 3), (3, 1), (3, 3))


@dataclass(frozen=True)
class Video:
    """A line of a list: the folder of its frames, how many there are, its label."""

    folder: str
    frames: int
    label: int


def read_videos(path: Path) -> list[Video]:
    """The videos of a list, `FOLDER FRAMES LABEL` a line. Raises DataError."""
    videos = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        words = line.strip().rsplit(None, 2)
        frames, label = (integer(word) for word in words[1:]) if len(words) == 3 else (None, None)
        if frames is None or label is None or frames < 1:
            raise DataError(
                f'{path}:{number}: "{line.strip()}" is not a folder, its number of frames (1 or more) and a label, '
                "with blanks between."
            )
        videos.append(Video(words[0], frames, label))
    if not videos:
        raise DataError(f"{path}: lists no videos; each line holds a folder, its number of frames and a label.")
    return videos


@dataclass(frozen=True)
class VideoCut:
    """What is done to all frames of a piece alike: crop, stretch, mirror; then mean and scale.

    In TRAIN (`random`) the crop lies anywhere, or at one of a few places (fix_crop), and has one of several sizes
    (multi_scale), from which it is stretched to crop_size. Mirrored flow (is_flow) along x, in every second channel,
    is turned round: 255 − x. Raises DataError for what such frames cannot be given.
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
        """float32 (channels, height, width) of the uint8 frames, one after another along the first axis.

        u: four uniform numbers in [0, 1): mirror, size, top or place, left. Raises DataError where they do not fit.
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
                    f"has {len(frames)} channels, of all frames together, and transform_param {len(p.mean_value)} "
                    "mean_value; give one, or so many that the channels are a multiple"
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
    """The heights and widths of the crops of multi_scale: parts of the shorter side, `max_distort` steps apart."""
    ratios = np.array(p.scale_ratios or RATIOS, np.float32)
    sides = [int(side) for side in np.float32(min(frame)) * ratios]
    sides = [p.crop_size if abs(side - p.crop_size) < NEAR else max(1, side) for side in sides]
    return [(h, w) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= p.max_distort]


class VideoSource(ListSource):
    """Reads pieces of the videos of a list, round and round, in a new random order each time if `shuffle`.

    Of each of num_segments equal parts of a video new_length frames in a row are read, beginning anywhere in it in
    TRAIN (`cut.random`) and in its middle else; where a part has fewer, from the video's first on. Tops: the channels
    of all frames (batch_size, channels, height, width): of RGB 3 a frame, or 1 with grayscale, of FLOW the x and y; and
    labels (batch_size, 1, 1, 1).
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
        made = self._make(self._lines(0)[0], [0.0] * (4 + self.p.num_segments))
        return [(self.p.batch_size, *made.shape), (self.p.batch_size, 1, 1, 1)][: len(self.tops)]

    def next(self) -> Batch:
        self._choose()
        size = self.p.batch_size
        random = np.random.default_rng((self._seed, self._batches)).random((size, 4 + self.p.num_segments)).tolist()
        made: list[np.ndarray] = [np.empty(0)] * size

        def work(i: int) -> None:
            made[i] = self._make(self._chosen[i], random[i])

        workers.share(work, size)
        for i, values in enumerate(made):
            if values.shape != made[0].shape:
                raise BadRecord(
                    f"{self.record(i)}: is {by(values.shape)} (channels × height × width) and its batch began with "
                    f"{by(made[0].shape)}. Give new_height and new_width, crop_size, or batch_size: 1."
                )
        self._batches += 1
        labels = np.array([self.videos[line].label for line in self._chosen], np.float32).reshape(-1, 1, 1, 1)
        return dict(zip(self.tops, (np.stack(made), labels), strict=False))

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
    """The first frame, from 1 on, of the piece of each segment: by uniform numbers in [0, 1), or the middle."""
    part = frames // p.num_segments
    spare = part - p.new_length
    if spare < 0:
        return [1] * p.num_segments
    within = [(spare + 1) // 2] * p.num_segments if u is None else [int(each * (spare + 1)) for each in u]
    return [1 + i * part + at for i, at in enumerate(within)]
