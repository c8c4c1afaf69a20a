"""Batches of pictures with boxes from a database of AnnotatedDatum records: SSD's AnnotatedData layer."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from engine.data import annotation, box_sampling, datum, distortion, noise
from engine.data.databases import ANNOTATED, Database
from engine.data.datum_source import DatumSource
from engine.data.padded_rows import padded
from engine.data.source import Batch, draws, transformed
from engine.data.transform import Transform
from engine.errors import BadRecord, DataError
from engine.proto import caffe_pb2 as pb

YOLO_BOXES = 300
"""Boxes per picture with yolo_data_type 1, as in its fork: fewer are padded with zeros, further ones left out."""

EVERY = 10
"""For how many batches a resize_param drawn from several is kept."""

JITTERS = (0.0, 0.5, 1.0)
"""Fractions of yolo_data_jitter that are applied to a picture, with the probabilities below."""

CHANCES = (0.2, 0.2, 0.6)


class AnnotatedSource(DatumSource):
    """Reads records as DatumSource does. Tops: pictures, and, if there is a second, boxes (1, 1, rows, 8): picture,
    class, instance, xmin, ymin, xmax, ymax, difficult; with yolo_data_type 1 (batch_size, 1, 300, 5): class − 1,
    centre x and y, width, height. If the records have no boxes, the second top is labels (batch_size, 1, 1, 1).

    A picture is distorted, expanded, cropped by one of the samplers (for YOLO at random), resized, and then transformed
    as usual. The fork compresses it as JPEG in between; this does not.
    """

    def __init__(
        self,
        database: Database,
        tops: Sequence[str],
        batch_size: int,
        transform: Transform,
        seed: int,
        *,
        param: pb.TransformationParameter,
        own: pb.AnnotatedDataParameter,
        rand_skip: int = 0,
        prefetch: int = 4,
    ) -> None:
        """`param`: what `transform` was made from."""
        super().__init__(database, tops, batch_size, transform, seed, rand_skip, prefetch)
        box_sampling.check(own.batch_sampler)
        if param.HasField("distort_param"):
            distortion.check_distortion(param.distort_param)
        if param.HasField("expand_param"):
            distortion.check_expansion(param.expand_param)
        noise.check(param.noise_param)
        for resize in param.resize_param:
            distortion.check_resize(resize)
            if resize.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE and batch_size > 1:
                raise DataError("resize_param: FIT_SMALL_SIZE makes pictures of many sizes; it needs batch_size: 1.")
        total = sum(resize.prob for resize in param.resize_param)
        if len(param.resize_param) > 1 and not abs(total - 1) < 0.01:
            raise DataError(f"resize_param: the prob of its {len(param.resize_param)} add up to {total:g}, not to 1.")
        self.param, self.own, self.samplers = param, own, own.batch_sampler
        self.yolo = own.yolo_data_type == 1
        jitters = (self.yolo or own.HasField("yolo_data_jitter")) and not own.batch_sampler
        self.jitter = own.yolo_data_jitter if jitters else 0.0
        if not 0 <= self.jitter < 1:
            raise DataError(f"yolo_data_jitter is {self.jitter:g}; it must be 0 or more, and less than 1.")
        self.emit = param.emit_constraint if param.HasField("emit_constraint") else None

    def shapes(self) -> list[tuple[int, ...]]:
        record, shape = self._first()
        second: tuple[int, ...] = (self.batch_size, 1, 1, 1)
        if self._has_boxes(record):
            second = (1, 1, padded(len(annotation.boxes_of(record))), 8)
            if self.yolo:
                second = (self.batch_size, 1, YOLO_BOXES, 5)
        return [(self.batch_size, *shape), second][: len(self.tops)]

    def _made(self, records: Sequence[tuple[bytes, bytes]]) -> Batch:
        self._keys = [key for key, _ in records]
        parsed = [self._parse(key, value) for key, value in records]
        if len(self.tops) > 1 and self._has_boxes(parsed[0]):
            self._check_types(parsed)
        boxes = [np.zeros((0, 7), np.float32)] * len(parsed)
        sizes = [(0, 0)] * len(parsed)
        extents: list[tuple[float, float] | None] = [None] * len(parsed)

        resize = self._resize()

        def changed(i: int) -> np.ndarray:
            rng = np.random.default_rng((self._seed, self._batches, i, 1))
            picture, boxes[i], extents[i] = self._changed(parsed[i], rng, resize)
            sizes[i] = picture.shape[1], picture.shape[2]
            return picture

        random = draws(self._seed, self._batches, self.batch_size)
        pictures = [partial(changed, i) for i in range(len(parsed))]
        batch = {self.tops[0]: transformed(pictures, self.record, self.transform, random)}
        if len(self.tops) > 1 and self._has_boxes(parsed[0]):
            placed = [self._placed(i, boxes[i], sizes[i], extents[i], random[i]) for i in range(len(parsed))]
            batch[self.tops[1]] = self._yolo_table(placed) if self.yolo else _table(placed)
        elif len(self.tops) > 1:
            batch[self.tops[1]] = np.array([record.datum.label for record in parsed], np.float32).reshape(-1, 1, 1, 1)
        self._after = self._keys[-1]
        return batch

    def _resize(self) -> pb.ResizeParameter | None:
        """The resize_param of this batch."""
        several = self.param.resize_param
        if len(several) < 2:
            return several[0] if several else None
        chances = np.array([each.prob for each in several])
        rng = np.random.default_rng((self._seed, self._batches // EVERY, 2))
        return several[int(rng.choice(len(several), p=chances / chances.sum()))]

    def _changed(
        self, record: pb.AnnotatedDatum, rng: np.random.Generator, resize: pb.ResizeParameter | None
    ) -> tuple[np.ndarray, np.ndarray, tuple[float, float] | None]:
        """The picture (channels, height, width), its boxes and `annotation.extent`, before crop, mirror and mean."""
        p = self.param
        picture = np.ascontiguousarray(datum.pixels(record.datum, self.transform.colour).transpose(1, 2, 0))
        boxes = annotation.boxes_of(record)
        if p.HasField("distort_param"):
            picture = distortion.distort(picture, p.distort_param, rng)
        if p.HasField("expand_param"):
            picture, part = distortion.expand(picture, p.expand_param, self.transform.values, rng)
            boxes = boxes if part is None else annotation.within(boxes, part, self.emit)
        keep = resize is not None and resize.resize_mode == pb.ResizeParameter.FIT_LARGE_SIZE_AND_PAD
        part = (
            _jittered(self.jitter, rng, keep)
            if self.jitter
            else box_sampling.sample(self.samplers, boxes[annotation.CORNERS], rng)
        )
        if part is not None:
            part = np.clip(part, 0, 1)
            picture, boxes = _cut(picture, part), annotation.within(boxes, part, self.emit)
        extent = annotation.extent(picture.shape[0], picture.shape[1], resize)
        if resize is not None:
            boxes = annotation.resized(boxes, picture.shape[0], picture.shape[1], resize)
            picture = distortion.resize(picture, resize, rng)
        if p.HasField("noise_param"):
            picture = noise.apply(picture, p.noise_param, rng)
        return picture.transpose(2, 0, 1), boxes, extent

    def _placed(
        self,
        index: int,
        boxes: np.ndarray,
        size: tuple[int, int],
        extent: tuple[float, float] | None,
        random: np.ndarray,
    ) -> np.ndarray:
        """The boxes of the `index`-th picture after the crop and the mirroring that `random` decides."""
        part = self.transform.part(size, random)
        boxes = annotation.within(boxes, part, self.emit)
        boxes = annotation.mirrored(boxes) if self.transform.mirrors(random) else boxes
        if extent is None:
            return boxes
        try:
            return annotation.scaled(boxes, part, extent)
        except DataError as e:
            raise BadRecord(f"{self.record(index)}: {e}") from e

    def _has_boxes(self, record: pb.AnnotatedDatum) -> bool:
        return self.own.HasField("anno_type") or record.HasField("type")

    def _check_types(self, records: Sequence[Any]) -> None:
        for key, record in zip(self._keys, records, strict=True):
            if not record.HasField("type"):
                raise BadRecord(
                    f"{self._name(key)}: has a label and no boxes (no type: BBOX). Make the database with "
                    "convert_annoset -anno_type detection; or leave anno_type out, to read labels only."
                )

    def _yolo_table(self, boxes: Sequence[np.ndarray]) -> np.ndarray:
        """(n, 1, 300, 5): class − 1, centre x and y, width and height of each picture's boxes."""
        table = np.zeros((len(boxes), 1, YOLO_BOXES, 5), np.float32)
        for row, each in zip(table[:, 0], boxes, strict=True):
            kept = (each if self.own.train_diffcult else each[each[:, 6] == 0])[:YOLO_BOXES]
            row[: len(kept), 0] = kept[:, 0] - 1
            row[: len(kept), 1:3] = (kept[:, 2:4] + kept[:, 4:6]) / 2
            row[: len(kept), 3:] = kept[:, 4:6] - kept[:, 2:4]
        return table

    def _label(self, record: Any) -> int:
        label: int = record.datum.label
        return label

    def _parse(self, key: bytes, value: bytes) -> Any:
        try:
            if value.startswith(ANNOTATED):
                return pb.AnnotatedDatum.FromString(value)
        except DecodeError:
            pass
        raise BadRecord(
            f"{self._name(key)}: is not an AnnotatedDatum record ({len(value):,} bytes), as convert_annoset makes "
            "them. The layer Data reads others."
        )

    def _shape(self, key: bytes, record: Any) -> tuple[int, int, int]:
        first = self.param.resize_param[0] if self.param.resize_param else None
        try:
            return self.transform.shape(self._changed(record, np.random.default_rng(0), first)[0].shape)
        except DataError as e:
            raise BadRecord(f"{self._name(key)}: {e}") from e


def _jittered(jitter: float, rng: np.random.Generator, keep: bool) -> np.ndarray:
    """A random part (4) of a picture, with sides of at least 1 − `jitter` of the picture's; `keep`: whether it has the
    picture's shape."""
    amount = jitter * JITTERS[rng.choice(len(JITTERS), p=CHANCES)]
    width, height = rng.uniform(1 - amount, 1, 2)
    size = np.array([width, width if keep else height])
    corner = rng.uniform(0, 1, 2) * (1 - size)
    return np.concatenate([corner, corner + size]).astype(np.float32)


def _cut(picture: np.ndarray, part: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[:2]
    left, top = int(part[0] * columns), int(part[1] * rows)
    width, height = int((part[2] - part[0]) * columns), int((part[3] - part[1]) * rows)
    return picture[top : top + max(1, height), left : left + max(1, width)]


def _table(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """The boxes of all pictures (1, 1, rows, 8), each preceded by its picture's number; padded with −1."""
    rows = np.concatenate([np.insert(each, 0, n, axis=1) for n, each in enumerate(boxes)])
    table = np.full((1, 1, padded(len(rows)), 8), -1, np.float32)
    table[0, 0, : len(rows)] = rows
    return table
