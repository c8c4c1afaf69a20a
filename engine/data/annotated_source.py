"""Batches of pictures with boxes from a database of AnnotatedDatum records: SSD's AnnotatedData layer."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from engine.data import annotation, box_sampling, datum, distortion
from engine.data.databases import ANNOTATED, Database
from engine.data.datum_source import DatumSource
from engine.data.source import Batch, draws, transformed
from engine.data.transform import Transform
from engine.errors import BadRecord, DataError
from engine.proto import caffe_pb2 as pb

FEWEST = 8
"""Rows of the least number of boxes in a batch; numbers double from there, filled up with rows of picture −1, so that
what reads them is compiled for a few sizes only."""


class AnnotatedSource(DatumSource):
    """Reads records as DatumSource does. Tops: pictures, and boxes (1, 1, rows, 8) if there is a second: picture,
    class, instance, xmin, ymin, xmax, ymax, difficult. Where the records have no boxes, labels (batch_size,).

    A picture is distorted, expanded, cut by one of `samplers`, resized, and then transformed as ever; where the fork
    packs it as JPEG in between, it stays as it is.
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
        samplers: Sequence[pb.BatchSampler] = (),
        boxes: bool | None = None,
        rand_skip: int = 0,
        prefetch: int = 4,
    ) -> None:
        """`param`: what `transform` was made from. `boxes`: whether records have them; None where the first tells."""
        super().__init__(database, tops, batch_size, transform, seed, rand_skip, prefetch)
        box_sampling.check(samplers)
        if param.HasField("distort_param"):
            distortion.check_distortion(param.distort_param)
        if param.HasField("resize_param"):
            distortion.check_resize(param.resize_param)
            if param.resize_param.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE and batch_size > 1:
                raise DataError("resize_param: FIT_SMALL_SIZE makes pictures of many sizes; it needs batch_size: 1.")
        self.param, self.samplers, self._boxes = param, samplers, boxes
        self.emit = param.emit_constraint if param.HasField("emit_constraint") else None

    def shapes(self) -> list[tuple[int, ...]]:
        key, value = next(self.database.records())
        record = self._parse(key, value)
        second: tuple[int, ...] = (self.batch_size,)
        if self._has_boxes(record):
            second = (1, 1, _rows(len(annotation.boxes_of(record))), 8)
        return [(self.batch_size, *self._first_shape()), second][: len(self.tops)]

    def _made(self, records: Sequence[tuple[bytes, bytes]]) -> Batch:
        self._keys = [key for key, _ in records]
        parsed = [self._parse(key, value) for key, value in records]
        boxes = [np.zeros((0, 7), np.float32)] * len(parsed)
        sizes = [(0, 0)] * len(parsed)

        def changed(i: int) -> np.ndarray:
            rng = np.random.default_rng((self._seed, self._batches, i, 1))
            picture, boxes[i] = self._changed(parsed[i], rng)
            sizes[i] = picture.shape[1], picture.shape[2]
            return picture

        random = draws(self._seed, self._batches, self.batch_size)
        pictures = [partial(changed, i) for i in range(len(parsed))]
        batch = {self.tops[0]: transformed(pictures, self.record, self.transform, random)}
        if len(self.tops) > 1 and self._has_boxes(parsed[0]):
            placed = [self._placed(b, size, u) for b, size, u in zip(boxes, sizes, random, strict=True)]
            batch[self.tops[1]] = _table(placed)
        elif len(self.tops) > 1:
            batch[self.tops[1]] = np.array([record.datum.label for record in parsed], np.float32)
        self._after = self._keys[-1]
        return batch

    def _changed(self, record: pb.AnnotatedDatum, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The picture (channels, height, width) and its boxes, before crop, mirror and mean."""
        p = self.param
        picture = np.ascontiguousarray(datum.pixels(record.datum, self.transform.colour).transpose(1, 2, 0))
        boxes = annotation.boxes_of(record)
        if p.HasField("distort_param"):
            picture = distortion.distort(picture, p.distort_param, rng)
        if p.HasField("expand_param"):
            picture, part = distortion.expand(picture, p.expand_param, self.transform.values, rng)
            boxes = boxes if part is None else annotation.within(boxes, part, self.emit)
        part = box_sampling.sample(self.samplers, boxes[annotation.CORNERS], rng)
        if part is not None:
            part = np.clip(part, 0, 1)
            picture, boxes = _cut(picture, part), annotation.within(boxes, part, self.emit)
        if p.HasField("resize_param"):
            boxes = annotation.resized(boxes, picture.shape[0], picture.shape[1], p.resize_param)
            picture = distortion.resize(picture, p.resize_param, rng)
        return picture.transpose(2, 0, 1), boxes

    def _placed(self, boxes: np.ndarray, size: tuple[int, int], random: np.ndarray) -> np.ndarray:
        """The boxes after the crop and the mirroring that `random` decides."""
        part = self.transform.part(size, random)
        boxes = annotation.within(boxes, part, self.emit)
        return annotation.mirrored(boxes) if self.transform.mirrors(random) else boxes

    def _has_boxes(self, record: pb.AnnotatedDatum) -> bool:
        return self._boxes if self._boxes is not None else record.HasField("type")

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
            f"{self._name(key)}: is no AnnotatedDatum record ({len(value):,} bytes), as convert_annoset makes them. "
            "The layer Data reads others."
        )

    def _shape(self, key: bytes, record: Any) -> tuple[int, int, int]:
        try:
            return self.transform.shape(self._changed(record, np.random.default_rng(0))[0].shape)
        except DataError as e:
            raise BadRecord(f"{self._name(key)}: {e}") from e


def _cut(picture: np.ndarray, part: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[:2]
    left, top = int(part[0] * columns), int(part[1] * rows)
    width, height = int((part[2] - part[0]) * columns), int((part[3] - part[1]) * rows)
    return picture[top : top + max(1, height), left : left + max(1, width)]


def _table(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """The boxes of all pictures (1, 1, rows, 8), with the picture's number in front."""
    rows = np.concatenate([np.insert(each, 0, n, axis=1) for n, each in enumerate(boxes)])
    table = np.full((1, 1, _rows(len(rows)), 8), -1, np.float32)
    table[0, 0, : len(rows)] = rows
    return table


def _rows(boxes: int) -> int:
    return max(FEWEST, 1 << max(0, boxes - 1).bit_length())
